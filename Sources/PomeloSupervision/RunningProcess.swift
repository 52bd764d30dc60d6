// SPDX-License-Identifier: MIT
import PomeloLibc
import PomeloLoop
import PomeloUV

/// A process that runs, whoever has started it.
@Loop protocol RunningProcess: AnyObject {
    var pid: Int32 { get }
    /// One that has ended is ignored.
    func signal(_ number: Int32)
}

extension ChildProcess: RunningProcess {}

/// A process that an earlier supervisor has started; how it ends nobody is told.
@Loop final class AdoptedProcess: RunningProcess {
    private static let look = Duration.milliseconds(200)

    private let identity: ProcessIdentity
    private let clock: any LoopClock
    private let onExit: @Loop () -> Void
    private var hasEnded = false

    init(_ identity: ProcessIdentity, _ clock: any LoopClock, onExit: @escaping @Loop () -> Void) {
        self.identity = identity
        self.clock = clock
        self.onExit = onExit
        watch()
    }

    var pid: Int32 { identity.pid }

    func signal(_ number: Int32) {
        // Another one may have its number by now.
        if identity.isAlive { kill(pid, number) }
    }

    private func watch() {
        _ = clock.schedule(after: Self.look) { [weak self] in
            guard let self, !hasEnded else { return }
            if identity.isAlive { return watch() }
            hasEnded = true
            onExit()
        }
    }
}

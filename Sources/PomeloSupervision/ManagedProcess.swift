// SPDX-License-Identifier: MIT
import PomeloLibc
package import PomeloLoop
import PomeloUV

/// One process of a supervisor: started or adopted, watched until it serves, started again when it ends by itself.
@Loop package final class ManagedProcess {
    package enum State: String, Sendable {
        /// It runs, and has not said yet that it serves.
        case starting
        case up
        /// It has ended, and will be started again.
        case pausing
        case down
    }

    /// What happened to a process.
    enum Event {
        case launched(pid: Int32)
        case ended(pid: Int32)
        /// It ended by itself; without a pause it is left down. Of an adopted one nobody knows how.
        case pauses(ChildProcess.Ending?, Duration?)
        case failed(NetworkError)
    }

    private static let look = Duration.milliseconds(20)
    /// What the kernel is given to end one by force.
    private static let lastPatience = Duration.seconds(5)

    package let plan: ProcessPlan
    package let log: ProcessLog
    package private(set) var state = State.down
    /// Starts after the first one.
    package private(set) var restarts = 0
    package var pid: Int32? { running?.pid }
    /// What it said behind `up <name>`: where it is.
    package private(set) var address: String?
    private let clock: any LoopClock
    private let onEvent: @Loop (Event) -> Void
    /// Asked before each start and signal.
    private let mayAct: @Loop () -> Bool
    private var history: Restarts
    private var running: (any RunningProcess)?
    private var launched: UInt64 = 0
    private var launches = 0
    private var timer: TimerID?
    /// Whether it is to run: false before it was started, and when it was stopped on purpose.
    private(set) var isWanted = false
    private var hasServed = false
    private var waiters: [FirstOutcome<Void>] = []

    /// One of no supervisor, which is ended by whoever has started it.
    package convenience init(_ plan: ProcessPlan, in folder: String) {
        self.init(plan, in: folder, SystemClock.shared, mayAct: { true }) { _ in }
    }

    init(
        _ plan: ProcessPlan, in folder: String, _ clock: any LoopClock, mayAct: @escaping @Loop () -> Bool,
        _ onEvent: @escaping @Loop (Event) -> Void
    ) {
        self.plan = plan
        self.clock = clock
        self.mayAct = mayAct
        self.onEvent = onEvent
        history = Restarts(plan.restarts)
        log = ProcessLog("\(folder)/\(plan.name).log")
    }

    /// Starts it, on purpose; one that waits for its restart does not wait any longer.
    package func start() throws(NetworkError) {
        guard running == nil else { return }
        if let timer { clock.cancel(timer) }
        isWanted = true
        hasServed = false
        history.forget()
        try launch()
    }

    /// Takes one that runs already, started by somebody who is gone.
    func adopt(_ identity: ProcessIdentity) {
        isWanted = true
        hasServed = true
        launched = clock.now
        running = AdoptedProcess(identity, clock) { [weak self] in self?.didEnd(nil) }
        onEvent(.launched(pid: identity.pid))
        settle(.up)
    }

    /// Asks it to end; by force, with all its descendants, when it has not within `patience`.
    ///
    /// - Returns: whether it ended by itself.
    @discardableResult
    func stop(within patience: Duration) async -> Bool {
        isWanted = false
        guard running != nil else {
            if let timer { clock.cancel(timer) }
            settle(.down)
            return true
        }
        guard mayAct() else { return true }
        // One that stands still hears nothing.
        signal(SIGCONT)
        signal(SIGTERM)
        if await end(within: patience) { return true }
        await kill()
        return false
    }

    /// Ends it at once, with all its descendants; returns when it is gone, or the kernel does not let it go.
    package func kill() async {
        isWanted = false
        guard let running, mayAct() else { return }
        if plan.far != nil {
            FarProcess.signal(SIGKILL, by: pipe)
            if await end(within: Self.lastPatience) { return }
        }
        PomeloLibc.kill(-running.pid, SIGKILL)
        _ = await end(within: Self.lastPatience)
    }

    /// Sends a signal; one that does not run is ignored.
    package func signal(_ number: Int32) {
        guard plan.far != nil else { return running?.signal(number) ?? () }
        FarProcess.signal(number, by: pipe)
    }

    /// Of a process of another machine, what it is told by.
    private var pipe: String { log.path + ".in" }

    /// Suspends until it serves or is down, or the deadline has passed.
    package func untilSettled(by deadline: UInt64) async {
        while state == .starting || state == .pausing, clock.now < deadline { await change(by: deadline) }
    }

    private func end(within patience: Duration) async -> Bool {
        let deadline = clock.deadline(after: patience)
        while running != nil, clock.now < deadline { await change(by: deadline) }
        return running == nil
    }

    private func change(by deadline: UInt64) async {
        let waiter = FirstOutcome<Void>()
        waiters.append(waiter)
        let limit = clock.schedule(at: deadline) { waiter.end() }
        await waiter.wait()
        clock.cancel(limit)
    }

    /// Leaves it running, or down: it is somebody else's from now on.
    func abandon() {
        isWanted = false
        running = nil
        if let timer { clock.cancel(timer) }
        settle(.down)
    }

    private func launch() throws(NetworkError) {
        guard mayAct() else { throw NetworkError(code: "EPERM", description: "another one keeps \(plan.name)") }
        var command = plan.command
        command.output = .file(log.path)
        command.ownSession = true
        command.input = try plan.far?.begin(pipe)
        defer { if let input = command.input { close(input) } }
        log.begin()
        let launch = launches + 1
        launches = launch
        let child = try ChildProcess(
            command,
            onExit: { [weak self] ending in
                if self?.launches == launch { self?.didEnd(ending) }
            })
        running = child
        launched = clock.now
        onEvent(.launched(pid: child.pid))
        settle(.starting)
        watch()
    }

    /// Reads the log until it says that the process serves.
    private func watch() {
        timer = clock.schedule(after: Self.look) { [weak self] in
            guard let self, state == .starting else { return }
            guard saysUp() else { return watch() }
            settle(.up)
        }
    }

    private func saysUp() -> Bool {
        guard let line = log.newLines().first(where: plan.isUp) else { return false }
        hasServed = true
        let sign = "up \(plan.name) "
        address = line.hasPrefix(sign) ? String(line.dropFirst(sign.count)) : nil
        return true
    }

    private func didEnd(_ ending: ChildProcess.Ending?) {
        guard let pid = running?.pid else { return }
        running = nil
        if let timer { clock.cancel(timer) }
        onEvent(.ended(pid: pid))
        if plan.far != nil { Files.remove(pipe) }
        if plan.endsRemains, mayAct() { PomeloLibc.kill(-pid, SIGKILL) }
        // It may have served between two looks.
        if state == .starting { _ = saysUp() }
        // One that never served has something to tell first.
        guard isWanted, hasServed else { return settle(.down) }
        restart(after: history.pause(afterRunning: .nanoseconds(Int64(clamping: clock.now - launched))), ending)
    }

    private func restart(after pause: Duration?, _ ending: ChildProcess.Ending?) {
        onEvent(.pauses(ending, pause))
        guard let pause else { return settle(.down) }
        settle(.pausing)
        timer = clock.schedule(after: pause) { [weak self] in
            guard let self, isWanted, running == nil else { return }
            restarts += 1
            do throws(NetworkError) {
                try launch()
            } catch {
                onEvent(.failed(error))
                settle(.down)
            }
        }
    }

    private func settle(_ state: State) {
        self.state = state
        let waiting = waiters
        waiters = []
        for waiter in waiting { waiter.end() }
    }
}

// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// A push as all clients of one connector are sent it.
@Loop final class PushEncoding<Buffer: Sendable> {
    enum State {
        case waiting
        /// Nil, and told once, when there is no such form.
        case done(Buffer?)
    }

    private(set) var state = State.waiting
    private var waiters: [@Loop () -> Void] = []

    /// A form that is there.
    init(_ buffer: Buffer?) { state = .done(buffer) }
    /// A form that is to come.
    init() {}

    func end(with buffer: Buffer?) {
        guard case .waiting = state else { return }
        state = .done(buffer)
        let waiting = waiters
        waiters = []
        for waiter in waiting { waiter() }
    }

    func whenDone(_ call: @escaping @Loop () -> Void) { waiters.append(call) }
}

// SPDX-License-Identifier: MIT
import DequeModule
import PomeloLoop

/// Divides a turn of the loop among those who shake hands, each step of which costs as much as many messages do.
///
/// Whoever comes when a turn has had enough waits in a row, as bytes that are not read. What brings a handshake no
/// further, a byte of a greeting for instance, counts as a small part of a step: who sends bytes one by one neither has
/// the turns of others, nor turns without an end.
@Loop final class HandshakeShares {
    /// What having a turn has come to.
    enum Cost { case nothing, little, much }

    /// Steps in a turn: with a key of RSA, which costs most, about 1 ms each.
    nonisolated static let ofAll = 4
    /// So many readings without a step cost less than one.
    nonisolated static let readingsOfStep = 32

    /// Told of each connection that its peer has broken, before its end.
    var onFailure: (@Loop (TLSStream, TLSError) -> Void)?

    private var row: Deque<TLSStream> = []
    /// Of this turn, in readings.
    private var left = HandshakeShares.ofAll * HandshakeShares.readingsOfStep
    private var turn = 0
    private var goesOn = false

    nonisolated init() {}

    /// How many wait.
    var waiting: Int { row.count }

    /// Takes a reading of this turn; false when none is left, or others wait.
    func take() -> Bool {
        renew()
        guard row.isEmpty, left > 0 else { return false }
        left -= 1
        return true
    }

    /// The reading was a step.
    func noteWork() { left -= Self.readingsOfStep - 1 }

    /// Lets one go on when it is its turn.
    func wait(_ stream: TLSStream) {
        row.append(stream)
        goOnSoon()
    }

    private func renew() {
        // The loop's own count is not for others to see, and a clock would not tell turns apart.
        guard turn != EventLoop.shared.turns else { return }
        turn = EventLoop.shared.turns
        left = Self.ofAll * Self.readingsOfStep
    }

    private func goOnSoon() {
        if goesOn { return }
        goesOn = true
        EventLoop.shared.inNextTurn { self.goOn() }
    }

    private func goOn() {
        goesOn = false
        renew()
        while left > 0, let next = row.popFirst() {
            switch next.goOn() {
            case .nothing: break
            case .little: left -= 1
            case .much: left -= Self.readingsOfStep
            }
        }
        if !row.isEmpty { goOnSoon() }
    }
}

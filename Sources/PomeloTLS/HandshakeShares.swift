// SPDX-License-Identifier: MIT
import DequeModule
import PomeloLoop

/// Divides a turn of the loop among those who shake hands, each step of which costs as much as many messages do.
///
/// Whoever comes when a turn has had enough waits in a row, as bytes that are not read.
@Loop final class HandshakeShares {
    /// Steps in a turn: with a key of RSA, which costs most, about 1 ms each.
    nonisolated static let ofAll = 4

    private var row: Deque<TLSStream> = []
    private var left = HandshakeShares.ofAll
    private var turn = 0
    private var goesOn = false

    nonisolated init() {}

    /// How many wait.
    var waiting: Int { row.count }

    /// Takes a step of this turn; false when none is left, or others wait.
    func take() -> Bool {
        renew()
        guard row.isEmpty, left > 0 else { return false }
        left -= 1
        return true
    }

    /// Lets one go on when it is its turn.
    func wait(_ stream: TLSStream) {
        row.append(stream)
        goOnSoon()
    }

    private func renew() {
        // The loop's own count is not for others to see, and a clock would not tell turns apart.
        guard turn != EventLoop.shared.turns else { return }
        turn = EventLoop.shared.turns
        left = Self.ofAll
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
            left -= 1
            next.goOn()
        }
        if !row.isEmpty { goOnSoon() }
    }
}

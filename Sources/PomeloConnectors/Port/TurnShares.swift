// SPDX-License-Identifier: MIT
import DequeModule
import PomeloLoop

/// Something that has more to do than its share of the turn.
@Loop protocol TurnTaker: AnyObject {
    /// Goes on; it is in the row no more.
    func goOn()
}

/// A message that waits for a turn with room to inflate it; few have one.
final class Postponed {
    /// The memory it takes, in bytes.
    let size: Int
    let arrival: UInt64
    let work: @Loop () -> Void

    init(size: Int, arrival: UInt64, _ work: @escaping @Loop () -> Void) {
        self.size = size
        self.arrival = arrival
        self.work = work
    }
}

/// A connection that counts what it has used of the turn.
@Loop protocol TurnSharer: TurnTaker {
    var shares: TurnShares { get }
    /// What it has used of the turn `shareTurn`.
    var share: Int32 { get set }
    /// The last half of the turn's number, which is enough to tell it from the one before.
    var shareTurn: UInt32 { get set }
}

extension TurnSharer {
    func charge(_ packages: Int) {
        renewShare()
        share = Int32(clamping: Int(share) &+ packages)
        shares.charge(packages)
    }

    func renewShare() {
        let turn = UInt32(truncatingIfNeeded: EventLoop.turn)
        if turn == shareTurn { return }
        shareTurn = turn
        share = 0
    }
}

/// Divides a turn of the loop among the clients of a connector, by packages.
///
/// Whoever sends little is served at once, however much the others send. Who sends more than the turn has room for
/// waits in a row, and those in the row go on in its order: the turn is no longer when more of them are busy.
@Loop final class TurnShares {
    /// Packages of all clients in a turn, but for what each may say at once.
    nonisolated static let ofAll = 1024
    /// Packages of one client in a turn.
    nonisolated static let ofOne = 128
    /// Packages that a client may always say in a turn.
    nonisolated static let least = 8

    private var row: Deque<any TurnTaker> = []
    private var goesOn = false
    private var turn = 0
    private var used = 0
    /// What a client of the row may use; nobody else is held to it.
    private var each = TurnShares.ofOne

    /// Notes that a client used up some of the turn.
    func charge(_ packages: Int) {
        renew()
        used += packages
    }

    /// Whether a client that has used `share` of this turn may go on.
    func allows(more share: Int) -> Bool {
        renew()
        return share < Self.least || (share < each && used < Self.ofAll)
    }

    /// Whether the turn has room for a message that may cost far more than it is long: nobody's least is that.
    var haveRoom: Bool {
        renew()
        return used < Self.ofAll
    }

    /// Lets a client go on when it is its turn; it must not be in the row.
    func wait(_ connection: any TurnTaker) {
        row.append(connection)
        goOnSoon()
    }

    private func goOnSoon() {
        if goesOn { return }
        goesOn = true
        EventLoop.shared.inNextTurn { self.goOn() }
    }

    private func renew() {
        let now = EventLoop.turn
        guard turn != now else { return }
        turn = now
        used = 0
    }

    /// One turn's part of the row; whoever has more to say stands at its end again.
    private func goOn() {
        goesOn = false
        renew()
        var left = row.count
        each = max(Self.least, min(Self.ofOne, Self.ofAll / max(1, left)))
        while left > 0, used < Self.ofAll, let next = row.popFirst() {
            next.goOn()
            left -= 1
        }
        each = Self.ofOne
        if !row.isEmpty { goOnSoon() }
    }
}

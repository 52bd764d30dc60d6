// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// How many calls of each implementer are under way: a slot is given back when a call has really ended, not when
/// nobody waits for it any more, so that one who never answers is soon not called any more.
@Loop final class CallSlots {
    /// Calls of one implementer at a time.
    static let limit = 64

    /// Whose calls they are.
    struct Owner: Hashable {
        let name: Text
        let isOutside: Bool
    }

    private var taken: [Owner: Int] = [:]

    /// False: all of them are taken.
    func take(_ owner: Owner) -> Bool {
        let count = taken[owner] ?? 0
        guard count < Self.limit else { return false }
        taken[owner] = count + 1
        return true
    }

    func giveBack(_ owner: Owner) {
        let count = taken[owner] ?? 1
        taken[owner] = count > 1 ? count - 1 : nil
    }
}

/// An implementer, and where it is.
@Loop struct Candidate {
    let implementer: any Implementer
    let isOutside: Bool

    var slot: CallSlots.Owner { CallSlots.Owner(name: Text(implementer.name), isOutside: isOutside) }
}

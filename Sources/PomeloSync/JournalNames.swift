// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// Names for journals that one process writes to: each is used once.
@Loop final class JournalNames {
    private let own: ServerID
    private let instance: InstanceID
    private var last: UInt64 = 0
    /// Of this server's own journals, wherever they were or were to be.
    private var numbers: Set<UInt64> = []

    init(_ own: ServerID, _ instance: InstanceID) {
        self.own = own
        self.instance = instance
    }

    /// A place of another server's journal that is ours from now on.
    func make(of server: ServerID) -> JournalPlace {
        last += 1
        return JournalPlace(server: server, owner: own, instance: instance, number: last)
    }

    /// A place of our own journal.
    func makeOwn() -> JournalPlace {
        let place = make(of: own)
        numbers.insert(place.number)
        return place
    }

    /// Whether a place was made for our own journal.
    func isOwn(_ place: JournalPlace) -> Bool {
        place.owner == own && place.instance == instance && numbers.contains(place.number)
    }
}

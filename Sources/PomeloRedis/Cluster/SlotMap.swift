// SPDX-License-Identifier: MIT
import PomeloLoop

/// Which primary has which slots, as one node of a cluster saw it.
///
/// - Source: CLUSTER SLOTS, https://redis.io/docs/latest/commands/cluster-slots/.
struct SlotMap: Equatable {
    /// The primaries that have slots, in the order of their text.
    private(set) var places: [SocketAddress] = []
    /// An index into `places` for each slot; none is below 0.
    private var owners = [Int16](repeating: -1, count: KeySlot.count)
    private var indices: [SocketAddress: Int16] = [:]
    /// Slots that are nobody's.
    private var free = KeySlot.count

    /// No cluster has more nodes.
    ///
    /// - Source: Redis Cluster specification, "Redis Cluster goals": up to 1000 nodes.
    private static let maxPlaces = 1000
    /// As many more are noted of those that only redirections have told of.
    static let maxStrangers = 16

    /// Nobody has anything.
    init() {}

    /// Reads the answer of the node at `teller`; nil when it is none.
    init?(_ reply: RedisReply, saidBy teller: SocketAddress) {
        guard let ranges = reply.array, ranges.count <= KeySlot.count else { return nil }
        var slots = 0
        var owned: [(range: ClosedRange<Int>, place: SocketAddress)] = []
        for range in ranges {
            guard let fields = range.array, fields.count >= 3, let first = fields[0].int, let last = fields[1].int,
                first >= 0, last < KeySlot.count, first <= last, let place = Self.place(fields[2], teller)
            else { return nil }
            slots += last - first + 1
            // No slot has two primaries.
            guard slots <= KeySlot.count else { return nil }
            owned.append((first...last, place))
        }
        places = Set(owned.map(\.place)).map { (place: $0, text: "\($0)") }.sorted { $0.text < $1.text }.map(\.place)
        guard places.count <= Self.maxPlaces else { return nil }
        indices = Dictionary(uniqueKeysWithValues: zip(places, 0...))
        for (range, place) in owned {
            let index = indices[place] ?? -1
            for slot in range { own(slot, index) }
        }
    }

    /// A node that does not know its own host is at the one it was asked at.
    private static func place(_ node: RedisReply, _ teller: SocketAddress) -> SocketAddress? {
        guard let fields = node.array, fields.count >= 2, let port = fields[1].int, (1...65_535).contains(port) else {
            return nil
        }
        let host = fields[0].string ?? ""
        if host.isEmpty || host == "?" { return SocketAddress(host: teller.host, port: port) }
        return SocketAddress.host(host).map { SocketAddress(host: $0, port: port) }
    }

    /// Whether every slot is somebody's.
    var isComplete: Bool { free == 0 }

    /// Whether a place has slots, or a redirection has told that it has.
    func contains(_ place: SocketAddress) -> Bool { indices[place] != nil }

    private mutating func own(_ slot: Int, _ index: Int16) {
        if owners[slot] < 0, index >= 0 { free -= 1 }
        owners[slot] = index
    }

    /// The primary that has a slot; nil when nobody has.
    subscript(slot: KeySlot) -> SocketAddress? { index(of: slot).map { places[$0] } }

    /// The place of that primary in `places`.
    func index(of slot: KeySlot) -> Int? {
        let index = Int(owners[slot.number])
        return index < 0 ? nil : index
    }

    /// Notes what a redirection has told about one slot.
    mutating func move(_ slot: KeySlot, to place: SocketAddress) {
        if let index = indices[place] {
            own(slot.number, index)
        } else if places.count < Self.maxPlaces + Self.maxStrangers {
            // The order matters to nobody until the next answer.
            let index = Int16(places.count)
            places.append(place)
            indices[place] = index
            own(slot.number, index)
        }
    }
}

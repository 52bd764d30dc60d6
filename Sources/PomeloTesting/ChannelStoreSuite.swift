// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloGlobalChannel
public import PomeloLoop
import PomeloPublication

/// A rule that a store broke.
public struct SuiteFailure: Error, CustomStringConvertible {
    /// Which rule, and how.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// What every `ChannelStore` must do; run all cases against a store of your own.
@Loop public struct ChannelStoreSuite {
    /// One rule each.
    public enum Case: String, CaseIterable, Sendable {
        case addsAndRemoves, replaces, repeats, counts, sequence, formerInstance, otherServers, prefixes
        case destroys, cleans, cleansUp, cleansUpTwice, cleanUpStops, manyMembers, oddNames
        case successor, lateCleaner, lateInstance, slices, manyServers
    }

    private let starts = ServerStarts()
    private let make: @Loop (String) -> any ChannelStore
    private let took: @Loop (ServerID, InstanceID) async throws -> Void

    /// `make` returns stores of one prefix that share their data; those of other prefixes must not be touched.
    ///
    /// `took` does for the data what a membership does when an instance takes a server's id; nothing if the store
    /// knows by its start.
    public init(
        _ make: @escaping @Loop (_ prefix: String) -> any ChannelStore,
        took: @escaping @Loop (ServerID, InstanceID) async throws -> Void = { _, _ in }
    ) {
        self.make = make
        self.took = took
    }

    /// Runs one case on an empty store.
    ///
    /// - Throws: `SuiteFailure` naming the rule; what the store throws.
    public func run(_ name: Case) async throws {
        switch name {
        case .addsAndRemoves: try await addsAndRemoves()
        case .replaces: try await replaces()
        case .repeats: try await repeats()
        case .counts: try await counts()
        case .sequence: try await sequence()
        case .formerInstance: try await formerInstance()
        case .otherServers: try await otherServers()
        case .prefixes: try await prefixes()
        case .destroys: try await destroys()
        case .cleans: try await cleans()
        case .cleansUp: try await cleansUp()
        case .cleansUpTwice: try await cleansUpTwice()
        case .cleanUpStops: try await cleanUpStops()
        case .manyMembers: try await manyMembers()
        case .oddNames: try await oddNames()
        case .successor: try await successor()
        case .lateCleaner: try await lateCleaner()
        case .lateInstance: try await lateInstance()
        case .slices: try await slices()
        case .manyServers: try await manyServers()
        }
    }

    // MARK: tools

    func store(_ server: ServerID = "connector-1", prefix: String = "game") async throws -> any ChannelStore {
        let store = make(prefix)
        let owner = starts.start(server)
        try await store.start(owner)
        try await took(server, owner.instance)
        return store
    }

    /// The last one that was started.
    func instance(of server: ServerID) -> InstanceID { starts.instance(of: server) }

    func expect<Value: Equatable>(_ what: String, _ value: Value, _ expected: Value) throws {
        if value != expected { throw SuiteFailure("\(what): \(value), not \(expected)") }
    }

    func expect(
        _ what: String, _ store: any ChannelStore, _ channel: ChannelName, _ uids: [UserID],
        at server: ServerID = "connector-1"
    ) async throws {
        try expect(what, try await store.members(of: channel, at: server).sorted(), uids.sorted())
    }

    func change(
        _ channel: ChannelName, _ added: [UserID] = [], _ removed: [UserID] = [], count: Int, replaces: Bool = false
    ) -> ChannelBatch.Change {
        ChannelBatch.Change(channel: channel, added: added, removed: removed, count: count, replaces: replaces)
    }

    @discardableResult
    func publish(
        _ store: any ChannelStore, _ sequence: UInt64, _ changes: ChannelBatch.Change...
    ) async throws -> PublishedBatch {
        try await store.publish(ChannelBatch(changes: changes, sequence: sequence))
    }

    // MARK: writing

    private func addsAndRemoves() async throws {
        let store = try await store()
        try await publish(store, 1, change("room", ["ann", "bob"], count: 2), change("hall", ["ann"], count: 1))
        try await expect("members after adding", store, "room", ["ann", "bob"])
        try await publish(store, 2, change("room", ["cid"], ["ann"], count: 2), change("hall", [], ["ann"], count: 0))
        try await expect("members after removing", store, "room", ["bob", "cid"])
        try await expect("members of an emptied channel", store, "hall", [])
        try expect("channels with members", try await store.channels().sorted(), ["room"])
        try await expect("members of an unknown channel", store, "nowhere", [])
    }

    private func replaces() async throws {
        let store = try await store()
        try await publish(store, 1, change("room", ["ann", "bob"], count: 2), change("hall", ["ann"], count: 1))
        let published = try await publish(
            store, 2, change("room", ["cid"], count: 1, replaces: true), change("hall", count: 0, replaces: true))
        try expect("counts of replaced channels", published.counts, ["room": 1, "hall": 0])
        try await expect("replaced members", store, "room", ["cid"])
        try await expect("members replaced by none", store, "hall", [])
        try expect("channels after replacing", try await store.channels(), ["room"])
    }

    private func repeats() async throws {
        let store = try await store()
        for sequence in 1...2 {
            try await publish(
                store, UInt64(sequence), change("room", ["ann"], ["bob"], count: 1),
                change("hall", [], ["ann"], count: 0))
        }
        try await expect("members after a repeated batch", store, "room", ["ann"])
        try expect("channels after a repeated batch", try await store.channels(), ["room"])
    }

    private func counts() async throws {
        let store = try await store()
        let published = try await publish(
            store, 1, change("room", ["ann", "bob"], count: 2), change("hall", [], ["ann"], count: 0))
        try expect("counts of a flush", published.counts, ["room": 2, "hall": 0])
        let counts = try await store.counts(of: ["room", "hall", "nowhere"])
        try expect("counts", counts, ["room": 2, "hall": 0, "nowhere": 0])
    }

    private func sequence() async throws {
        let store = try await store()
        try expect("sequence of an empty store", try await store.publishedSequence(), nil)
        let first = try await publish(store, 7, change("room", ["ann"], count: 1))
        try expect("sequence before the first flush", first.previous, nil)
        try expect("sequence after a flush", try await store.publishedSequence(), 7)
        let second = try await publish(store, 9, change("room", ["bob"], count: 2))
        try expect("sequence before the second flush", second.previous, 7)
        try expect("sequence of a quiet server", try await self.store("connector-2").publishedSequence(), nil)
    }

    private func formerInstance() async throws {
        try await publish(try await store(), 5, change("room", ["ann"], count: 1))
        try await store("connector-2").cleanUp(
            "connector-1", instance: instance(of: "connector-1"), proceed: {}, lost: { _, _ in })
        let again = try await store()
        try await publish(again, 1, change("room", ["bob"], count: 1))
        try await expect("members of a former instance", again, "room", ["bob"])
    }

    // MARK: isolation

    private func otherServers() async throws {
        let one = try await store()
        let two = try await store("connector-2")
        try await publish(one, 1, change("room", ["ann"], count: 1))
        try await publish(two, 1, change("room", ["ann", "bob"], count: 2))
        try await publish(one, 2, change("room", [], ["ann"], count: 0))
        try await expect("members at another server", one, "room", ["ann", "bob"], at: "connector-2")
        try expect("channels of another server", try await two.channels(), ["room"])
    }

    private func prefixes() async throws {
        let game = try await store(prefix: "game")
        let other = try await store("connector-2", prefix: "game2")
        try await publish(game, 1, change("room", ["ann"], count: 1))
        try await publish(other, 1, change("room", ["bob"], count: 1))
        try await expect("members under another prefix", game, "room", [], at: "connector-2")
        try await game.clean()
        try await game.cleanUp(
            "connector-2", instance: instance(of: "connector-2"), proceed: {}, lost: { _, _ in })
        try await expect("members under a longer prefix", other, "room", ["bob"], at: "connector-2")
    }

    // MARK: removing

    private func destroys() async throws {
        let one = try await store()
        let two = try await store("connector-2")
        for store in [one, two] {
            try await publish(store, 1, change("room", ["ann"], count: 1), change("hall", ["ann"], count: 1))
        }
        try await one.destroy("room", at: ["connector-2", "never-seen"])
        try await expect("members where it was destroyed", one, "room", [], at: "connector-2")
        try await expect("members elsewhere", one, "room", ["ann"])
        try await expect("members of another channel", one, "hall", ["ann"], at: "connector-2")
        try expect("channels where it was destroyed", try await two.channels(), ["hall"])
        try await one.destroy("room", at: [])
    }

    private func cleans() async throws {
        let one = try await store()
        let two = try await store("connector-2")
        for store in [one, two] { try await publish(store, 1, change("room", ["ann"], count: 1)) }
        try await one.clean()
        try await expect("own members after cleaning", one, "room", [])
        try await expect("others' members after cleaning", one, "room", ["ann"], at: "connector-2")
        try expect("own channels after cleaning", try await one.channels(), [])
    }

    private func cleansUp() async throws {
        let gone = try await store()
        try await publish(gone, 1, change("room", ["ann", "bob"], count: 2), change("hall", ["ann"], count: 1))
        let lost = Lost()
        let live = try await store("connector-2")
        try await publish(live, 1, change("room", ["cid"], count: 1))
        try await live.cleanUp(
            "connector-1", instance: instance(of: "connector-1"), proceed: { lost.proceeds += 1 },
            lost: { channel, uids in
                lost.told[channel] = uids.sorted()
                do {
                    lost.wasThere[channel] = try await !live.members(of: channel, at: "connector-1").isEmpty
                } catch { lost.wasThere[channel] = false }
            })
        try expect("lost members", lost.told, ["room": ["ann", "bob"], "hall": ["ann"]])
        try expect("told before they were removed", lost.wasThere, ["room": true, "hall": true])
        try expect("the token is looked at", lost.proceeds >= 1, true)
        try await expect("members of a gone server", live, "room", [])
        try await expect("members of a live server", live, "room", ["cid"], at: "connector-2")
    }

    private func cleansUpTwice() async throws {
        try await publish(try await store(), 1, change("room", ["ann"], count: 1))
        let live = try await store("connector-2")
        let lost = Lost()
        for _ in 0..<2 {
            try await live.cleanUp(
                "connector-1", instance: instance(of: "connector-1"), proceed: {},
                lost: { channel, _ in lost.times[channel, default: 0] += 1 })
        }
        try expect("a second clean-up finds nothing", lost.times, ["room": 1])
    }

    private func cleanUpStops() async throws {
        let gone = try await store()
        for number in 0..<120 {
            try await publish(gone, UInt64(number + 1), change(ChannelName("room-\(number)"), ["ann"], count: 1))
        }
        let live = try await store("connector-2")
        let lost = Lost()
        do {
            try await live.cleanUp(
                "connector-1", instance: instance(of: "connector-1"),
                proceed: {
                    lost.proceeds += 1
                    if lost.proceeds > 1 { throw SuiteFailure("the token is lost") }
                }, lost: { channel, _ in lost.times[channel, default: 0] += 1 })
            throw SuiteFailure("a clean-up went on without its token")
        } catch let error as SuiteFailure where error.description == "the token is lost" {}
        try expect("channels cleaned with the token", lost.times.count, 50)
        try await live.cleanUp(
            "connector-1", instance: instance(of: "connector-1"), proceed: {},
            lost: { channel, _ in lost.times[channel, default: 0] += 1 })
        try expect("another server finishes", lost.times.count, 120)
        try expect("each channel is told once", lost.times.values.allSatisfy { $0 == 1 }, true)
    }

    // MARK: size and names

    private func manyMembers() async throws {
        let store = try await store()
        let many = (0..<1500).map { UserID("user-\($0)") }
        try await publish(store, 1, change("room", many, count: many.count))
        try await expect("1500 members", store, "room", many)
        let published = try await publish(store, 2, change("room", ["ann"], Array(many.dropFirst(100)), count: 101))
        try expect("count after removing 1400", published.counts, ["room": 101])
        try await publish(store, 3, change("room", many, count: many.count, replaces: true))
        try await expect("1500 members anew", store, "room", many)
    }

    private func oddNames() async throws {
        let store = try await store()
        let names: [ChannelName] = ["a b", "*", "[x]", "a:b", "käse", "{tag}", "\\", "?"]
        for (index, name) in names.enumerated() {
            try await publish(store, UInt64(index + 1), change(name, [UserID("ann*\(name)"), "日本"], count: 2))
        }
        for name in names { try await expect("members of \(name)", store, name, [UserID("ann*\(name)"), "日本"]) }
        try expect("channels with odd names", try await store.channels().sorted(), names.sorted())
        try await store.clean()
        for name in names { try await expect("cleaned \(name)", store, name, []) }
    }
}

/// What a clean-up told.
@Loop final class Lost {
    var told: [ChannelName: [UserID]] = [:]
    var times: [ChannelName: Int] = [:]
    var wasThere: [ChannelName: Bool] = [:]
    var proceeds = 0
}

// SPDX-License-Identifier: MIT
//
// The code of the article "Keep state", which is cut from this file.
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloSyncSQLite
import PomeloTesting
import TestHelpers
import Testing

private struct Bag: Codable, Sendable, Equatable {
    var coins = 0
    var items: [String] = []
}

private struct Trade: Codable, Sendable, Equatable {
    var from: UserID
    var to: UserID
    var item: String
}

extension SyncKey<Bag> {
    fileprivate static let bag = SyncKey("bag")
}

extension SyncKey<Trade> {
    fileprivate static let trade = SyncKey("trade")
}

/// What players own, while they are in this server's area.
@Loop private final class Bags {
    private let file: any SyncReader
    private let sync: SyncService
    private var bags: [UserID: Bag] = [:]

    init(_ file: any SyncReader, _ sync: SyncService) {
        self.file = file
        self.sync = sync
    }

    static func setUp(_ app: Application, _ redis: (any RedisPort)?, _ path: String) throws -> Bags {
        let file = try SQLiteSyncSink(path, [SQLTable(.bag), SQLTable(.trade, .entries)])
        app.beforeStartup { try await file.migrate() }
        try app.use(
            Sync(redis: redis) { sinks in
                sinks.map(.bag, to: file)
                sinks.map(.trade, to: file)
            })
        app.sync.onDeadLetter = { [log = app.log] letter in
            log.critical("somebody must look after a value", metadata: ["key": "\(letter.key)"])
        }
        return Bags(file, app.sync)
    }

    func enter(_ player: UserID) async throws -> Bag {
        if let bag = bags[player] { return bag }
        let bag = try await file.value(of: .bag, player.rawValue) ?? Bag()
        // Another request of the player may have been first.
        bags[player] = bags[player] ?? bag
        return bags[player] ?? bag
    }

    func move(_ item: String, from: UserID, to: UserID) async throws {
        guard var giver = bags[from], var taker = bags[to], let index = giver.items.firstIndex(of: item) else {
            throw Fault(404)
        }
        taker.items.append(giver.items.remove(at: index))
        (bags[from], bags[to]) = (giver, taker)
        // Calls of one turn are one round trip.
        async let given: Void = sync.exec(.bag, from.rawValue, giver)
        async let taken: Void = sync.exec(.bag, to.rawValue, taker)
        async let noted: Void = sync.exec(.trade, Trade(from: from, to: to, item: item))
        _ = try await (given, taken, noted)
    }

    func found(_ coins: Int, by player: UserID) throws {
        bags[player, default: Bag()].coins += coins
        try sync.exec(.bag, player.rawValue, bags[player, default: Bag()])
    }

    func leave(_ player: UserID) async throws {
        guard let bag = bags[player] else { return }
        try await sync.flush(.bag, player.rawValue, bag)
        if bags[player] == bag { bags[player] = nil }
    }
}

/// What a service answers that keeps values by id.
private protocol Vault: Sendable {
    func put(_ id: String, _ value: Bytes, ifNewerThan number: UInt64) async throws -> Int
}

/// A sink of one's own, for a service that keeps one value of each id.
@Loop private final class VaultSink: SyncSink {
    private let vault: any Vault

    init(_ vault: any Vault) { self.vault = vault }

    func write(_ batch: [SyncEntry]) async throws -> [SyncOutcome] {
        var outcomes: [SyncOutcome] = []
        for entry in batch {
            guard let id = entry.id else {
                outcomes.append(.refused("the vault keeps nothing without an id"))
                continue
            }
            // It throws when the vault is away: then all wait, and nothing becomes a dead letter.
            switch try await vault.put(id.string, entry.value, ifNewerThan: entry.version.number) {
            case 200, 409: outcomes.append(.written)
            case 429: outcomes.append(.failed("the vault is busy"))
            case let code: outcomes.append(.refused("the vault answered \(code)"))
            }
        }
        return outcomes
    }
}

private struct SmallVault: Vault {
    struct Away: Error {}

    func put(_ id: String, _ value: Bytes, ifNewerThan number: UInt64) async throws -> Int {
        switch id {
        case "away": throw Away()
        case "old": 409
        case "busy": 429
        case "bad": 400
        default: 200
        }
    }
}

@Suite struct KeepStateArticleTests {
    @Test @Loop func aGameKeepsWhatItsPlayersOwn() async throws {
        try await withFolder { folder in
            for isFirst in [true, false] {
                let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1))
                cluster.followSystemTime()
                var made: Bags?
                try await cluster.startAll { app in made = try Bags.setUp(app, nil, folder.file) }
                let bags = try #require(made)
                if isFirst {
                    try await cluster["chat-1"].sync.flush(.bag, "bob", Bag(items: ["sword"]))
                    #expect(try await bags.enter("ann") == Bag())
                    #expect(try await bags.enter("bob") == Bag(items: ["sword"]))
                    try bags.found(7, by: "ann")
                    await #expect(throws: Fault(404)) { try await bags.move("bow", from: "bob", to: "ann") }
                    try await bags.move("sword", from: "bob", to: "ann")
                    try await bags.leave("ann")
                } else {
                    #expect(try await bags.enter("ann") == Bag(coins: 7, items: ["sword"]))
                    #expect(try await bags.enter("bob") == Bag())
                }
                await cluster.stopAll()
            }
        }
    }

    @Test @Loop func theSinkOfOnesOwnTellsWhatBecameOfEach() async throws {
        let sink = VaultSink(SmallVault())
        func entry(_ id: Text?) -> SyncEntry {
            SyncEntry(key: "bag", id: id, value: Array("{}".utf8), version: SyncVersion(number: 1, server: "a"))
        }
        let outcomes = try await sink.write(["ann", "old", "busy", "bad"].map { entry($0) } + [entry(nil)])
        #expect(outcomes.map { "\($0)".prefix(6) } == ["writte", "writte", "failed", "refuse", "refuse"])
        await #expect(throws: SmallVault.Away.self) { try await sink.write([entry("away")]) }
    }
}

// SPDX-License-Identifier: MIT
import Foundation
import Logging
import PomeloCore
import PomeloLoop
import PomeloPublication
import PomeloRedis
import PomeloTesting
import Testing

@testable import PomeloCluster
@testable import PomeloGlobalChannel
@testable import PomeloStatus

/// A Redis that answers anything: every shape of reply, numbers at all limits, entries with something wrong in them.
@Loop private final class NonsenseRedis: RedisPort {
    let isUp = true
    private(set) var calls = 0
    private let random: RandomSource

    init(seed: UInt64) { random = RandomSource(seed: seed) }

    func pipeline(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        calls += commands.count
        return commands.map { _ in reply(depth: 2) }
    }

    func run(_ script: RedisScript, keys: [String], args: [RedisArgument]) async throws(RedisError) -> RedisReply {
        calls += 1
        return try reply(depth: 2).get()
    }

    func observe(_ handler: @escaping @Loop (RedisEvent) -> Void) -> RedisObservation { RedisObservation(number: 0) }
    func unobserve(_ observation: RedisObservation) {}

    private func draw(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }

    private func reply(depth: Int) -> RedisReply {
        switch draw(depth == 0 ? 5 : 12) {
        case 0: return .null
        case 1: return .integer([0, 1, -1, .max, .min][draw(5)])
        case 2: return .status(text())
        case 3: return draw(4) == 0 ? .error(["ERR no", "NOSCRIPT no", "WRONGTYPE", ""][draw(4)]) : .text(text())
        case 4: return .text(text())
        case 5...7: return .array([.text(draw(3) > 0 ? "0" : text()), reply(depth: depth - 1)])
        default: return .array((0..<draw(7)).map { _ in reply(depth: depth - 1) })
        }
    }

    private static let texts = [
        "", "0", "1", "-1", "65536", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
        "18446744073709551615", "1e308", "1e999", "nan", "inf", "-inf", "0x10", "1.5", "0-0", "1-1", "up", "renewed",
        "taken", "inst", "seq", "sid", "tok", "e", "op", "put", "remove", "id", "entry", "*", "user*room", "\u{0}",
        "connector-1", "e\u{301}", "\u{e9}", "9f00/9223372036854775807", "9f00/18446744073709551616", "/", "//",
    ]

    private func text() -> String {
        if draw(4) > 0 { return Self.texts[draw(Self.texts.count)] }
        let entry = """
            {"inst":"9f00","state":"up","services":["status"],"record":{"id":"connector-1","serverType":"connector",\
            "host":"10.0.0.1","port":4050,"frontend":true,"max-connections":7,"weight":3}}
            """
        return ["4050", "\"9f00\"", "true", "7", "3"].reduce(entry) { entry, part in
            let other = ["99999999999", "-1", "1e300", "null", "[]", "{}", "\"\"", part][draw(8)]
            return draw(3) == 0 ? entry.replacing(part, with: other) : entry
        }
    }
}

/// What the registry and the stores make of what Redis answers: a value or an error, and always an end.
///
/// `POMELO_FUZZ_SECONDS` makes it go on with further seeds for so long; a failure names its seed.
@Suite struct HostileReplies {
    private static let seconds = ProcessInfo.processInfo.environment["POMELO_FUZZ_SECONDS"].flatMap(UInt64.init) ?? 0

    @Test @Loop func noReplyIsTooStrange() async throws {
        let owner = StoreOwner(server: "connector-1", instance: "9f00", cluster: "c")
        let end = SystemClock.shared.now + Self.seconds * 1_000_000_000
        var (seed, calls) = (UInt64(0), 0)
        repeat {
            for _ in 0..<100 {
                seed += 1
                // A reply that ends the process is found by the last seed said.
                if Self.seconds > 0, seed % 10_000 == 1 { print("from seed \(seed)") }
                let redis = NonsenseRedis(seed: seed)
                await registry(ClusterRegistry(redis, cluster: "c"))
                try await channels(RedisChannelStore(redis: redis), owner)
                try await status(RedisStatusStore(redis: redis), owner)
                calls += redis.calls
            }
        } while SystemClock.shared.now < end
        #expect(calls > 1000)
        if Self.seconds > 0 { print("\(seed) seeds, \(calls) replies") }
    }

    /// Errors are as good as values.
    @Loop private func attempt<Value>(_ body: @Loop () async throws -> Value) async {
        do {
            _ = try await body()
        } catch {
            #expect(!"\(error)".isEmpty)
        }
    }

    @Loop private func registry(_ registry: ClusterRegistry) async {
        let record = ServerRecord(id: "connector-1", type: "connector", port: 4050, isFrontend: true)
        let info = ServerInfo(record: record, instance: "9f00", state: .up)
        await attempt { try await registry.list() }
        await attempt { try await registry.registeredState(of: "connector-1") }
        await attempt { try await registry.everServers() }
        await attempt { try await registry.isAlive("connector-1", "9f00") }
        await attempt { try await registry.put(info, replacing: nil, lease: .seconds(10)) }
        await attempt { try await registry.renew(info, lease: .seconds(10)) }
        await attempt { try await registry.leave(info) }
        await attempt {
            let snapshot = try await registry.snapshot(lease: .seconds(10))
            var feed = ClusterFeed(epoch: snapshot.epoch, position: snapshot.position)
            for _ in 0..<3 { _ = feed.take(try await registry.events(from: feed.position)) }
        }
        await attempt { try await registry.look(limit: 16) }
        await attempt { try await registry.entry(of: "connector-1") }
        await attempt { try await registry.isGone("connector-1", entry: "x") }
        await attempt { try await registry.takeToken("connector-1", "t", for: .seconds(2)) }
        await attempt { try await registry.keepToken("connector-1", "t", for: .seconds(2)) }
        await attempt { try await registry.finish("connector-1", "t") }
    }

    @Loop private func channels(_ store: RedisChannelStore, _ owner: StoreOwner) async throws {
        try await store.start(owner)
        await attempt { try await store.publishedSequence() }
        await attempt { try await store.members(of: "room", at: "connector-1") }
        await attempt { try await store.channels() }
        await attempt { try await store.counts(of: ["room", "hall"]) }
        await attempt { try await store.destroy("room", at: ["connector-1"]) }
        await attempt { try await store.clean() }
    }

    @Loop private func status(_ store: RedisStatusStore, _ owner: StoreOwner) async throws {
        try await store.start(owner)
        await attempt { try await store.publishedSequence() }
        await attempt { try await store.servers(of: ["ann", "bob"]) }
        await attempt { try await store.areOnline(["ann", "bob"]) }
        let holder = Holder(server: "connector-1", instance: "9f00", session: SessionID(1))
        await attempt { try await store.claim("ann", holder, gone: nil) }
        await attempt { try await store.release(["ann"]) }
        await attempt { try await store.clean() }
    }
}

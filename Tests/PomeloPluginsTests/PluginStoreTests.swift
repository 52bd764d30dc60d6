// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloContract
import PomeloJSON
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloPlugins

/// Everything that needs a real server; skipped where none is installed.
@Suite("with redis-server", .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct WithRedis {}

extension WithRedis {
    /// The registry in a real Redis, and its double in memory.
    @Suite(.serialized, .onEachRedis(.standalone, .sentinel, .cluster)) struct PluginStoreTests {
        /// Random changes over right and wrong epochs: both say the same, and have the same.
        @Test(arguments: 1...4) @Loop func theDoubleAnswersAsTheScript(_ seed: UInt64) async throws {
            try await withRedis { _, client in
                let fake = FakeRedis(clock: ManualClock())
                PluginStore.teach(fake)
                let stores = (PluginStore(client, cluster: "t"), PluginStore(fake, cluster: "t"))
                var random = SplitMix64(seed: seed)
                var epochs: (UInt64, UInt64) = (0, 0)
                for step in 0..<200 {
                    let changes = (0..<Int(random.next() % 4)).map { _ in Self.change(&random) }
                    let isStale = random.next() % 4 == 0
                    let isBlind = random.next() % 8 == 0
                    let over = { (epoch: UInt64) -> UInt64? in isBlind ? nil : isStale ? epoch &+ 1 : epoch }
                    let real = try await stores.0.change(over: over(epochs.0), changes)
                    let copy = try await stores.1.change(over: over(epochs.1), changes)
                    #expect((real == nil) == (copy == nil), "step \(step)")
                    #expect((real == nil) == (isStale && !isBlind), "step \(step)")
                    if let real, let copy {
                        #expect(real > epochs.0 && copy > epochs.1, "step \(step)")
                        epochs = (real, copy)
                    }
                }
                let views = (try await stores.0.load().view, try await stores.1.load().view)
                #expect(views.0.records == views.1.records && views.0.keys == views.1.keys)
                #expect(Set(views.0.leases) == Set(views.1.leases))
                #expect(!views.0.records.isEmpty)
            }
        }

        @Test @Loop func keysAreSealedWithTheClustersSecret() async throws {
            try await withRedis { _, client in
                let seal = KeySeal(secret: Bytes("secret of the cluster".utf8))
                let store = PluginStore(client, cluster: "t", seal: seal)
                let keys = ["a", "b"].map { PluginKey(id: $0, seed: [UInt8](repeating: 7, count: 32), madeAt: 5) }
                _ = try await store.change(over: nil, keys.map { .putKey($0) })
                let fields = try await client.send(RedisCommand("HGETALL", "pomelo:{t}:plug")).dictionary ?? [:]
                #expect(fields.count == 2 && Set(fields.values).count == 2)
                #expect(fields.values.allSatisfy { !$0.contains(Base64.encode(keys[0].seed).dropLast(2)) })
                #expect(Set(try await store.load().view.keys) == Set(keys))

                // Who may write Redis can put nothing of its own there: neither one in clear, nor another's.
                let sealed = try #require(fields["k/a"])
                for (field, value) in [
                    ("k/c", sealed), ("k/d", #"{"seed":"\#(Base64.encode(keys[0].seed))","at":5}"#),
                    ("k/a", sealed.replacing("\"at\":5", with: "\"at\":6")),
                ] { _ = try await client.send(RedisCommand("HSET", "pomelo:{t}:plug", field, value)) }
                let snapshot = try await store.load()
                #expect(snapshot.view.keys.map(\.id) == ["b"] && snapshot.unreadable == ["k/a", "k/c", "k/d"])
                let stranger = PluginStore(client, cluster: "t", seal: KeySeal(secret: Bytes("another".utf8)))
                #expect(try await stranger.load().view.keys.isEmpty)
            }
        }

        @Test @Loop func whatCannotBeReadIsNamedAndLeftAlone() async throws {
            try await withRedis { _, client in
                let store = PluginStore(client, cluster: "t")
                _ = try await store.change(over: nil, [.put(Self.record("a"))])
                let junk = ["p/b": "no json", "p/c": "{}", "k/x": "{}", "l/a": "x", "z": "1"]
                for (field, value) in junk {
                    _ = try await client.send(RedisCommand("HSET", "pomelo:{t}:plug", field, value))
                }
                let snapshot = try await store.load()
                #expect(snapshot.unreadable == junk.keys.sorted())
                #expect(Array(snapshot.view.records.keys) == ["a"])
            }
        }

        private static func change(_ random: inout SplitMix64) -> PluginChange {
            let name = ["a", "b", "c"][Int(random.next() % 3)]
            let key = PluginKey(id: name, seed: [UInt8](repeating: UInt8(random.next() % 4), count: 32), madeAt: 7)
            let lease = PluginLease(id: PluginID(name), address: "http://\(name):1", until: Int64(random.next() % 9))
            switch random.next() % 6 {
            case 0: return .remove(PluginID(name))
            case 1: return .putKey(key)
            case 2: return .removeKey(name)
            case 3: return .putLease(lease)
            case 4: return .removeLease(lease)
            default: return .put(record(name))
            }
        }

        private static func record(_ name: String) -> PluginRecord {
            let identity = PluginIdentity(
                id: PluginID(name), version: PluginRegistry.platform, platform: nil, points: [], bindings: [])
            var record = PluginRecord(
                identity: identity, registration: "r", registeredAt: 5, secretHash: "h", addresses: ["http://a:1"],
                status: .starting, reason: "quote \" and \n line")
            record.trial = PluginRecord.Trial(until: 9, examiner: "main")
            record.suspended = ["main"]
            return record
        }
    }
}

// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloPublication
import PomeloRedis
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// Who holds a user id on a real Redis Cluster, whose slots move and whose nodes die.
@Suite(
    "bindings on a cluster", .serialized,
    .enabled("redis-server is not installed", { await RedisServer.isInstalled() }))
struct MovingBindingTests {
    private typealias Side = (store: RedisStatusStore, holder: Holder)

    @Loop private func side(_ server: ServerID, _ client: RedisClient) async throws -> Side {
        let instance = InstanceID("start of \(server)")
        let store = RedisStatusStore(redis: client)
        try await store.start(StoreOwner(server: server, instance: instance, cluster: "pomelo"))
        _ = try await client.send(
            RedisCommand("HSET", "pomelo:{pomelo/\(server)}:lease", "inst", instance.rawValue))
        return (store, Holder(server: server, instance: instance, session: SessionID(1)))
    }

    /// The users' ids have braces, so that all of them are in one slot, and their bindings in another.
    @Test @Loop func ofTwoClaimsOneIsGrantedWhileTheirSlotsMove() async throws {
        try await withCluster { cluster, client in
            let (one, two) = (try await side("connector-1", client), try await side("connector-2", client))
            let slots = ["POMELO:STATUS:{x}0", "{POMELO:STATUS:{x}0}:bind"].map { KeySlot(of: $0).number }
            var winners: [UserID: Holder] = [:]
            try await cluster.moving(slots) { moves in
                while moves.count < 3 {
                    let uid = UserID("{x}\(winners.count)")
                    var claims: [Claim] = []
                    let claiming = [one, two].map { side in
                        Loop.spawn {
                            do {
                                claims.append(try await side.store.claim(uid, side.holder, gone: nil))
                                if claims.last == .granted { winners[uid] = side.holder }
                            } catch {
                                Issue.record(error)
                            }
                        }
                    }
                    for task in claiming { await task.value }
                    #expect(claims.filter { $0 == .granted }.count == 1)
                    try #require(winners[uid] != nil)
                }
            }
            let uids = winners.keys.sorted()
            #expect(try await one.store.holders(of: uids) == uids.map { winners[$0] })
            try await two.store.cleanUp("connector-1", instance: one.holder.instance) {}
            let left = uids.map { winners[$0] == two.holder ? two.holder : nil }
            #expect(try await two.store.holders(of: uids) == left)
        }
    }

    @Test @Loop func aBindingOutlivesThePrimaryOfItsSlot() async throws {
        try await withCluster(replicas: 1) { cluster, client in
            let (one, two) = (try await side("connector-1", client), try await side("connector-2", client))
            let shard = try await cluster.owner(of: KeySlot(of: "{POMELO:STATUS:ann}:bind").number) % cluster.shards
            #expect(try await one.store.claim("ann", one.holder, gone: nil) == .granted)
            let nodes = cluster.members(of: shard).map { cluster.nodes[$0] }
            try await until("the replica has it") {
                try await nodes[0].info("master_repl_offset") == nodes[1].info("slave_repl_offset")
            }
            let former = try await cluster.killMaster(shard)
            // Asked while nobody has the slot, it waits as long as a command may, or says that there is no answer.
            while true {
                do {
                    guard case .held(let holder, _) = try await two.store.claim("ann", two.holder, gone: nil) else {
                        Issue.record("granted to a second one")
                        break
                    }
                    #expect(holder == one.holder)
                    break
                } catch let error as RedisError {
                    #expect(!error.isReply, "\(error)")
                }
            }
            #expect(try await cluster.master(of: shard) != former)
            try await one.store.release(["ann"])
            #expect(try await two.store.claim("ann", two.holder, gone: nil) == .granted)
        }
    }
}

extension RedisError {
    fileprivate var isReply: Bool {
        if case .reply(let text) = self { !text.hasPrefix("CLUSTERDOWN") } else { false }
    }
}

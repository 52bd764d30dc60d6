// SPDX-License-Identifier: MIT
#if TLS
    import PomeloJSON
    import PomeloLoop
    import PomeloTesting
    import TestHelpers
    import Testing

    /// A whole cluster on `rediss+sentinel://`.
    @Suite struct EncryptedRedisTests {
        @Test @Loop func aChatLivesThroughTheDeathOfItsPrimary() async throws {
            let authority = try await TestAuthority.make()
            let world = try await RedisWorld.start(.sentinel, tls: authority.redis())
            do {
                try await lives(world)
            } catch {
                Issue.record(error)
            }
            try await world.stop()
        }

        @Loop private func lives(_ world: RedisWorld) async throws {
            let chat = world.processes
            let ann = try await chat.enter("ann", "hall", at: "connector-server-1")
            let bob = try await chat.enter("bob", "hall", at: "connector-server-2")
            let here = ["connector-server-1": ["ann"], "connector-server-2": ["bob"]]
            try await eventually("both are published") { try await world.holds(here, of: "hall") }
            #expect(try await ann.request("chat.chatHandler.send", ["content": "one", "target": "bob"]) == [:])
            #expect(try await bob.next("onChat")["msg"] == "one")

            let former = try await world.sentinels.killPrimary()
            #expect(try await ann.request("chat.chatHandler.send", ["content": "two", "target": "*"]) == [:])
            #expect(try await bob.next("onChat")["msg"] == "two")
            try await world.sentinels.nextPrimary(after: former)
            try await eventually("both are published there") { try await world.holds(here, of: "hall") }
            try await eventually("another one comes in") {
                (try? await chat.enter("eve", "hall", at: "connector-server-1")) != nil
            }
            try await former.restart()
            try await world.sentinels.settle()
            try await eventually("nobody is at the former primary") { try await world.hasLeftOthers() }
            #expect(ann.end == nil && bob.end == nil)
        }
    }
#endif

// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import Testing

extension WithRedis {
    /// The sentinels that other tests stand on.
    @Suite struct SentinelProcesses {
        @Test @Loop func aPrimaryThatDiedComesBackAsAReplica() async throws {
            let all = try await RedisSentinels.start(replicas: 1)
            do {
                #expect(try await all.currentPrimaryPort() == all.servers[0].port)
                #expect(all.sentinelPorts.count == 3)
                let former = try await all.killPrimary()
                let next = try await all.nextPrimary(after: former)
                #expect(next === all.servers[1])
                try await former.restart()
                try await all.settle()
                #expect(try await former.info("role") == "slave")
                #expect(try await all.failOver() === former)
            } catch {
                Issue.record(error)
            }
            await all.stop()
        }

        @Test @Loop func everybodyAsksForPasswords() async throws {
            let all = try await RedisSentinels.start(
                replicas: 1, login: RedisLogin(user: "chat", password: "one"),
                sentinelLogin: RedisLogin(user: "watch", password: "two"))
            do {
                let next = try await all.failOver()
                try await all.settle()
                #expect(try await next.command("ACL", "WHOAMI") == ["chat"])
                #expect(try await all.sentinels[0].command("ACL", "WHOAMI") == ["watch"])
                #expect(try await all.cutPrimary() === next)
                try await all.nextPrimary(after: next)
                #expect(try await next.info("role") == "master")
                try await all.rejoin(next)
                try await all.settle()
            } catch {
                Issue.record(error)
            }
            await all.stop()
        }
    }
}

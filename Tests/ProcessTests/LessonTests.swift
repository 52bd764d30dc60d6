// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop
import PomeloTesting
import Testing

/// The contract of the LessonChat example, on real processes and each kind of Redis.
@Suite(.serialized) struct LessonTests {
    static let sent: JSON = ["code": 0, "message": "发送成功"]

    @Test(arguments: RedisWorld.Kind.allCases) @Loop func theContract(_ kind: RedisWorld.Kind) async throws {
        let world = try await RedisWorld.start(kind, "LessonChat", config: "config/lesson")
        do {
            try await theContract(world.processes)
        } catch {
            Issue.record(error)
        }
        try await world.stop()
    }

    @Loop private func theContract(_ lesson: ServerProcesses) async throws {
        let ann = try await lesson.connect("connector")
        #expect(try await ann.request("chat.handler.send", ["content": "x"]) == ["code": 1, "message": "用户未登录"])
        let missing: [JSON] = [
            [:], ["userId": "a"], ["lessonId": 4], ["userId": 0, "lessonId": 4], ["userId": "a", "lessonId": ""],
        ]
        for body in missing {
            #expect(try await ann.request("connector.handler.login", body) == ["code": 1, "message": "缺少参数"])
        }
        let login: JSON = ["userId": "xialei", "lessonId": 4]
        #expect(try await ann.request("connector.handler.login", login) == ["code": 0, "message": "登录成功"])
        #expect(try await ann.next("onJoin") == ["userId": "xialei"])
        #expect(try await ann.request("connector.handler.login", login) == ["code": 1, "message": "用户已登录"])

        let bob = try await lesson.connect("connector", as: .webSocket)
        #expect(try await bob.request("connector.handler.login", login) == ["code": 1, "message": "用户已登录"])
        _ = try await bob.request("connector.handler.login", ["userId": 7, "lessonId": 4])
        #expect(try await bob.next("onJoin") == ["userId": 7])
        #expect(try await ann.next("onJoin") == ["userId": 7])

        #expect(
            try await bob.request("chat.handler.send", ["type": 1, "content": "哈哈", "deep": ["a": [1.5]]]) == Self.sent)
        let message: JSON = ["type": 1, "content": "哈哈", "deep": ["a": [1.5]], "userId": 7]
        #expect(try await ann.next("onMessage") == message)
        #expect(try await bob.next("onMessage") == message)
        try await bob.leave()
        #expect(try await ann.next("onLeave") == ["userId": 7])
    }
}

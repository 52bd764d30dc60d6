// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
import TestHelpers
import Testing

/// What comes from Redis is input: no reply may crash, hang or be taken for another.
@Suite(.serialized) struct RedisInputTests {
    @Loop private func withServer(
        _ body: @Loop (ScriptedServer, RedisConnection) async throws -> Void
    ) async throws {
        let server = try await ScriptedServer.start()
        let connection = RedisConnection(server.configuration, name: "test", logger: quiet)
        try await connection.start()
        try await body(server, connection)
        await connection.stop()
        server.close()
    }

    static let hostile = [
        "*-5\r\n", "$-9\r\n", ":99999999999999999999\r\n", ":-99999999999999999999\r\n", ":1x\r\n", ":\r\n",
        "*99999999999999999999\r\n", "*2147483648\r\n", "*1000000000\r\n", "*16777217\r\n",
        "$99999999999999999999\r\n", "$3\r\nabcde\r\n", "@\r\n", "\u{0}\u{0}\u{0}\u{0}",
        String(repeating: "*1\r\n", count: 64), "+OK\r\n:7\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n",
    ]

    @Test(arguments: hostile) @Loop func aHostileReplyEndsTheConnectionOnly(_ text: String) async throws {
        try await withServer { server, connection in
            server.answer = text
            let error = await failure { () throws(RedisError) in _ = try await connection.send(RedisCommand("GET", "k"))
            }
            // One whole reply may have come before what is wrong.
            if let error, !text.hasPrefix("+") { #expect("\(error)".contains("127.0.0.1"), "\(error)") }
            server.answer = "+fine\r\n"
            await until("it is connected again") { connection.isUp && server.accepted == 2 }
            let next = try await connection.send(RedisCommand("GET", "k"))
            #expect(next == .status("fine"))
        }
    }

    static let strange: [(String, RedisReply)] = [
        ("$-1\r\n", .null), ("*-1\r\n", .null), ("*0\r\n", .array([])), (":-9223372036854775808\r\n", .integer(.min)),
        ("$0\r\n\r\n", .bulk([])), ("+\r\n", .status("")), ("*2\r\n$-1\r\n*-1\r\n", .array([.null, .null])),
    ]

    @Test(arguments: strange) @Loop func strangeRepliesAreReadAsTheyAre(_ text: String, _ reply: RedisReply)
        async throws
    {
        try await withServer { server, connection in
            server.answer = text
            let read = try await connection.send(RedisCommand("GET", "k"))
            #expect(read == reply)
        }
    }

    static let lost = ["READONLY You can't write", "MASTERDOWN Link with MASTER is down", "LOADING Redis is loading"]
        .flatMap { text in
            [
                text, "ERR Error running script (call to f_1a): @user_script:1: @user_script: 1: -\(text)",
                "@user_script: 3: -\(text)",
            ]
        }

    /// Redis before 7 wraps what a script ran into; the connection is as lost as by the plain error.
    @Test(arguments: lost) @Loop func aServerThatCannotServeIsLeftInWhateverFormItSaysSo(_ text: String) async throws {
        let server = try await CommandServer.start()
        let connection = RedisConnection(
            RedisConfiguration(host: "127.0.0.1", port: server.port), name: "test", logger: quiet)
        try await connection.start()
        server.answer = { words, _ in
            switch words[0] {
            case "EVALSHA": "-\(text)\r\n"
            case "PING" where text.contains("LOADING"): "-LOADING Redis is loading the dataset in memory\r\n"
            case "ROLE": "*3\r\n" + CommandServer.bulk("slave") + ":0\r\n*0\r\n"
            default: nil
            }
        }
        let replies = try await connection.pipeline([RedisCommand("EVALSHA", "1a", 0)])
        #expect(replies == [.error(text)])
        await until("it is left") { !connection.isUp && server.openPeers == 0 || server.peers.count > 1 }
        server.answer = { _, _ in nil }
        await until("it is connected anew") { connection.isUp && server.peers.count > 1 }
        await connection.stop()
        server.close()
    }

    /// A script may say what it likes; the server is asked whether it is so.
    @Test(arguments: ["READONLY no", "READONLY You can't write against a read only replica.", "LOADING x"])
    @Loop func theWordOfAScriptAloneIsNoReasonToLeave(_ text: String) async throws {
        let server = try await CommandServer.start()
        server.answer = { words, _ in words[0] == "EVAL" ? "-\(text)\r\n" : nil }
        let connection = RedisConnection(
            RedisConfiguration(host: "127.0.0.1", port: server.port), name: "test", logger: quiet)
        try await connection.start()
        for _ in 0..<3 {
            let reply = try await connection.pipeline([RedisCommand("EVAL", "s", 0)])
            #expect(reply == [.error(text)])
            try await connection.send(RedisCommand("PING"))
        }
        #expect(server.peers.count == 1 && connection.isUp)
        await connection.stop()
        server.close()
    }

    @Test(arguments: ["WRONGTYPE no", "ERR Error running script: @user_script: 1: -WRONGTYPE no", "ERR -READONLY x"])
    @Loop func anOrdinaryErrorLeavesTheConnection(_ text: String) async throws {
        try await withServer { server, connection in
            server.answer = "-\(text)\r\n"
            let replies = try await connection.pipeline([RedisCommand("EVALSHA", "1a", 0)])
            #expect(replies == [.error(text)])
            _ = try await connection.pipeline([RedisCommand("EVALSHA", "1a", 0)])
            #expect(connection.isUp && server.accepted == 1)
        }
    }

    @Test(arguments: [
        ("HSET", "NOPERM this user has no permissions to access one of the keys used as arguments"),
        ("EVALSHA", "ERR Error running script (call to f_1a): @user_script:1: -NOPERM The user can't run this command"),
    ]) @Loop func aMissingRightNamesTheCommand(_ command: String, _ text: String) async throws {
        try await withServer { server, connection in
            server.answer = "-\(text)\r\n"
            let replies = try await connection.pipeline([RedisCommand(command, "k", "f", "v")])
            #expect(
                replies == [.error("NOPERM \(command) is not allowed to the redis user \"default\": \(text)")])
        }
    }

    @Test @Loop func aScriptsErrorNamesTheScript() async throws {
        try await withServer { server, connection in
            server.answer = "$2\r\n1a\r\n"
            _ = try await connection.send(RedisCommand("PING"))
            let script = RedisScript(name: "cluster.put", source: "return 1")
            #expect(try await connection.run(script, keys: [], args: []) == .text("1a"))
            server.answer = "-ERR no\r\n"
            let error = await failure { () throws(RedisError) in
                _ = try await connection.run(script, keys: [], args: [])
            }
            #expect(error == .reply("ERR no (script cluster.put)"))
        }
    }

    @Test @Loop func aServerThatIsTooOldIsRefusedAtOnce() async throws {
        let server = try await ScriptedServer.start()
        server.greeting = ScriptedServer.greeting(version: "4.0.14")
        var configuration = server.configuration
        configuration.connectTimeoutSeconds = 60
        let client = RedisClient(configuration, logger: quiet)
        let error = await failure { () throws(RedisError) in try await client.start() }
        let place = "redis at 127.0.0.1:\(configuration.port)"
        #expect(error == .reply("\(place) is version 4.0.14; 5.0 is the least that is supported"))
        server.close()
    }
}

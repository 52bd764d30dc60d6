// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// A server that cannot start says why in one line and ends within 5 s.
@Suite struct StartTests {
    @Loop private func refusal(
        _ chat: ServerProcesses, _ id: String = "chat-server-1", arguments: [String]? = nil
    ) async throws -> String {
        try chat.launch(id, arguments: arguments)
        let status = try await chat.awaitExit(id, within: .seconds(5))
        #expect(status == .exited(1))
        // The last output may be read after the end is known.
        try await eventually("an error line, in \(chat[id].lines)", within: .seconds(2)) {
            chat[id].lines.contains { $0.hasPrefix("error: ") }
        }
        let errors = chat[id].lines.filter { $0.hasPrefix("error: ") }
        #expect(errors.count == 1, "\(chat[id].lines)")
        // Who reads the end of a log sees the reason, and nothing that came of it.
        #expect(
            chat[id].lines.last == errors.first && !chat[id].lines.contains { $0.hasSuffix(" stopped") },
            "\(chat[id].lines)")
        return errors.first ?? ""
    }

    @Test @Loop func aPortInUse() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        let port = chat.clientPorts["connector-server-1"] ?? 0
        let holder = try await ServerProcesses.network.listen(on: SocketAddress(host: "127.0.0.1", port: port)) {
            $0.close()
        }
        let error = try await refusal(chat, "connector-server-1")
        let place = "\(chat.folder)/servers.json: bind and clientPort of connector-server-1"
        let reason = "cannot listen for clients on 127.0.0.1:\(port): address already in use (EADDRINUSE)"
        #expect(error.hasPrefix("error: \(place): \(reason), held by "), "\(error)")
        chat.environment = ["POMELO_BIND": "127.0.0.1"]
        let other = "\(chat.folder)/servers.json: POMELO_BIND and clientPort of connector-server-1: \(reason)"
        #expect(try await refusal(chat, "connector-server-1").contains(other))
        chat.environment = [:]
        let given = ["id=connector-server-1", "config=\(chat.folder)", "clientPort=\(port)"]
        let mixed = "\(chat.folder)/servers.json: bind and (on the command line) clientPort of connector-server-1: "
        #expect(try await refusal(chat, "connector-server-1", arguments: given).contains(mixed + reason))
        let own = "the command line: bind and clientPort of connector-server-1: "
        let both = given + ["bind=127.0.0.1"]
        #expect(try await refusal(chat, "connector-server-1", arguments: both).contains(own + reason))
        holder.close()
        try await chat.stop()
    }

    /// The port is taken before the registry could be asked.
    @Test @Loop func aServerThatRunsAlready() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        try chat.launch("chat-server-1")
        try await chat.awaitUp("chat-server-1")
        try chat.launch("chat-server-1", as: "second")
        #expect(try await chat.awaitExit("second", within: .seconds(5)) == .exited(1))
        try await eventually("the error, in \(chat["second"].lines)", within: .seconds(2)) {
            chat["second"].lines.contains { $0.hasSuffix("(Chat), which the same command started: it runs already") }
        }
        try await chat.stop()
    }

    /// A verb that there is not is no argument of the server either.
    @Test(arguments: ["begin", "", "名前", "--", String(repeating: "x", count: 10_000)])
    @Loop func aWordThatIsNoCommand(_ word: String) async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        let error = try await refusal(chat, arguments: ["--config", chat.folder, "--", word])
        #expect(error.contains("is neither key=value nor one of the commands serve, start, masterha, stop, "))
        try await chat.stop()
    }

    @Test(arguments: [["--help"], ["help"], ["serve", "--help"]])
    @Loop func theHelpShowsThatAnIDIsNeeded(_ words: [String]) async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        try chat.launch("help", arguments: words)
        #expect(try await chat.awaitExit("help", within: .seconds(5)) == .exited(0))
        let lines = chat["help"].lines.joined(separator: "\n")
        #expect(lines.contains("--id <id> [--env <env>] [--config <folder>] [<key=value> ...]"), "\(lines)")
        try await chat.stop()
    }

    @Test @Loop func missingAndMalformedFiles() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        try Data("{".utf8).write(to: URL(fileURLWithPath: chat.folder + "/redis.json"))
        #expect(try await refusal(chat).contains("\(chat.folder)/redis.json is not JSON"))
        try chat.write("redis", ["development": ["host": "127.0.0.1", "port": "many"]])
        let wrong = try await refusal(chat)
        #expect(wrong.contains("redis.json") && wrong.contains("port"))
        try FileManager.default.removeItem(atPath: chat.folder + "/redis.json")
        #expect(try await refusal(chat).contains("there is no configuration file \(chat.folder)/redis.json"))
        try chat.write("servers", ["development": ["chat": [["id": "chat-server-1"]]]])
        let missing = try await refusal(chat)
        #expect(missing.contains("servers.json: chat[0] (chat-server-1): port is missing"))
        try await chat.stop()
    }

    static let impossible: [(file: String, options: JSON, text: String)] = [
        ("cluster", ["leaseSeconds": 1], "/cluster.json: leaseSeconds must be at least twice renewEverySeconds"),
        (
            "socketio", ["transports": ["websockets"]],
            "transports of socketio.json, or of the program's SocketIOOptions: websockets is unknown; known are: "
        ),
        (
            "socketio", ["origins": ["example.com"]],
            "origins of socketio.json, or of the program's SocketIOOptions: example.com is no origin; write "
        ),
    ]

    @Test(arguments: impossible)
    @Loop func valuesThatCannotBeAreSaidWithTheirFile(_ given: (file: String, options: JSON, text: String)) async throws
    {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        try chat.write(given.file, ["development": given.options])
        let error = try await refusal(chat, "connector-server-1")
        #expect(error.contains(given.text), "\(error)")
        try await chat.stop()
    }

    @Test @Loop func anUnknownServer() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        let error = try await refusal(chat, arguments: ["env=development", "id=nobody", "config=\(chat.folder)"])
        #expect(error.contains("servers.json has no server \"nobody\"") && error.contains("gate-server-1"))
        let none = try await refusal(chat, arguments: ["--config", chat.folder])
        #expect(none.contains("chat-server-1, chat-server-2, connector-server-1"))
        try await chat.stop()
    }

    /// Whoever hears of the users who are gone would not be there.
    @Test @Loop func aTypeThatNobodyHasIsTold() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        try chat.write("globalChannel", ["development": ["goneServerType": "chats"]])
        try chat.launch("chat-server-1")
        try await chat.awaitUp("chat-server-1")
        try await eventually("a warning, in \(chat["chat-server-1"].lines)", within: .seconds(2)) {
            chat["chat-server-1"].lines.contains { $0.contains("goneServerType names a type that no server has") }
        }
        try await chat.stop()
    }

    @Test @Loop func aWrongSecret() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        chat.environment = ["POMELO_SECRET": "right"]
        try chat.launch("chat-server-1")
        try await chat.awaitUp("chat-server-1")
        chat.environment = ["POMELO_SECRET": "wrong"]
        let error = try await refusal(chat, "chat-server-2")
        #expect(error.contains("secret"))
        #expect(chat["chat-server-1"].status == nil)
        try await chat.stop()
    }

    @Test @Loop func noSecretOutsideDevelopment() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        for name in ["servers", "master", "redis"] {
            let section = try chat.read("\(chat.folder)/\(name).json")["development"] ?? .null
            try chat.write(name, ["production": section])
        }
        let error = try await refusal(
            chat, arguments: ["--env", "production", "--id", "chat-server-1", "--config", chat.folder])
        #expect(error.contains("POMELO_SECRET"))
        try await chat.stop()
    }

    @Test @Loop func anUnreachableRedis() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        await chat.redis.kill9()
        chat.environment = ["POMELO_REDIS_CONNECT_TIMEOUT_SECONDS": "0.3"]
        let place = "127.0.0.1:\(chat.redis.port)"
        func expect(_ source: String, _ ending: String = "connection refused (ECONNREFUSED)") async throws {
            let text = "error: cannot connect to redis at \(place) (\(source)): \(ending)"
            #expect(try await refusal(chat) == text)
        }
        try await expect("configured in \(chat.folder)/redis.json")
        chat.environment["REDIS_URL"] = "redis://\(place)"
        try await expect("configured by REDIS_URL")
        chat.environment["REDIS_URL"] = nil
        chat.environment["POMELO_REDIS_PORT"] = "\(chat.redis.port)"
        try await expect("configured by POMELO_REDIS_PORT and in \(chat.folder)/redis.json")
        try await chat.stop()
    }

    /// A key may be a file's or a variable's.
    @Test @Loop func aPasswordThatRedisRefuses() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        let place = "redis at 127.0.0.1:\(chat.redis.port)"
        chat.environment = ["REDIS_URL": "redis://:wrong@127.0.0.1:\(chat.redis.port)"]
        let error = try await refusal(chat)
        #expect(error.hasPrefix("error: \(place) (configured by REDIS_URL) refused the key \"password\""), "\(error)")
        #expect(!error.contains("wrong"))
        try await chat.stop()
    }

    @Test @Loop func aFolderThatIsNotThere() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        let error = try await refusal(chat, arguments: ["--config", "nowhere", "--id", "chat-server-1"])
        let here = FileManager.default.currentDirectoryPath
        let remedy = "--config or POMELO_CONFIG names another"
        #expect(error == "error: there is no configuration folder nowhere in \(here); \(remedy)")
        try await chat.stop()
    }

    /// Redis answers nothing, so the start hangs in its first step until it is told to stop.
    @Test(arguments: [true, false]) @Loop func termDuringStartIsNoError(redisReturns: Bool) async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        chat.redis.pause()
        try chat.launch("chat-server-1")
        // In the kernel's table: remote address and state "established".
        let connected = String(format: ":%04X 01 ", chat.redis.port)
        try await eventually("it has connected to Redis", within: .seconds(5)) {
            let table = try #require(FileHandle(forReadingAtPath: "/proc/net/tcp")).readToEnd() ?? Data()
            return String(decoding: table, as: UTF8.self).contains(connected)
        }
        chat["chat-server-1"].signal(SIGTERM)
        if redisReturns { chat.redis.resume() }
        #expect(try await chat.awaitExit("chat-server-1") == .exited(0))
        if !redisReturns { chat.redis.resume() }
        try await chat.stop()
    }
}

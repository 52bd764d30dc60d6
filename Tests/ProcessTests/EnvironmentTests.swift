// SPDX-License-Identifier: MIT
import Foundation
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// The command line and the environment of the real program.
@Suite struct EnvironmentTests {
    private struct Output: Equatable {
        var status: ChildProcess.Ending
        var lines: [String]
    }

    @Loop private static var chat: String { "\(ServerProcesses.binaries)/Chat" }

    @Loop private func run(
        _ words: [String], _ environment: [String: String] = [:], of program: String? = nil
    ) async throws -> Output {
        var lines: [String] = []
        var status: ChildProcess.Ending?
        let child = try ChildProcess(
            ChildProcess.Command(program ?? Self.chat, words, environment: environment),
            onLine: { lines.append($0) }, onExit: { status = $0 })
        _ = child.pid
        try await eventually("the end of \(words)", within: .seconds(10)) { status != nil }
        return Output(status: status ?? .exited(-1), lines: lines)
    }

    private static let files = [
        "servers.json": #"{"blue":{"chat":[{"id":"chat-b","port":7001}]},"green":{"chat":[{"id":"g","port":7002}]}}"#,
        "master.json": #"{"blue":{"id":"m","port":7003},"green":{"id":"m","port":7003}}"#,
        "redis.json":
            #"{"blue":{"host":"10.0.0.1","port":6390,"password":"of the file"},"green":{"url":"redis://10.0.0.2"}}"#,
    ]

    @Loop private func inFolder(_ body: @Loop (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pomelo-environment-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (name, text) in Self.files {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
        }
        try await body(folder)
        try FileManager.default.removeItem(atPath: folder)
    }

    /// `Game --config X servers` took `servers` for an argument of the server.
    @Test @Loop func optionsStandBeforeOrBehindEveryVerb() async throws {
        try await inFolder { folder in
            let list = Output(
                status: .exited(0), lines: ["chat-b\tchat\t127.0.0.1\t7001\t", "m\tmaster\t127.0.0.1\t7003\t"])
            for words in [
                ["servers", "--config", folder, "--env", "blue"], ["--config", folder, "--env", "blue", "servers"],
                ["--env=blue", "servers", "--config=\(folder)"], ["--config", folder, "servers", "--env", "blue"],
            ] {
                #expect(try await run(words) == list, "\(words)")
            }
            let redis = Output(status: .exited(0), lines: ["10.0.0.1\t6390"])
            #expect(try await run(["--config", folder, "--env", "blue", "redis"]) == redis)
            for words in [["health"], ["serve"], []] {
                let output = try await run(["--config", folder, "--env", "blue", "--id", "nobody"] + words)
                #expect(output.status == .exited(1) && output.lines.count == 1, "\(words)")
                #expect(output.lines[0].hasSuffix("no server \"nobody\" for blue; it has: chat-b, m"), "\(output)")
            }
            // A value is no verb.
            let missing = try await run(["--config", "servers"])
            #expect(missing.status == .exited(1) && missing.lines[0].contains("folder servers in /"), "\(missing)")
        }
    }

    /// The program trapped where nobody read on, as in `Chat servers | head`.
    @Test @Loop func aLineThatNobodyTakesEndsNoProgram() async throws {
        try await inFolder { folder in
            let words = ["-c", "exec \"$0\" servers --config \"$1\" --env blue >/dev/full", Self.chat, folder]
            let output = try await run(words, of: "/bin/bash")
            #expect(output == Output(status: .exited(0), lines: []))
        }
    }

    @Test @Loop func theEnvironmentSaysWhichFolderSectionAndServer() async throws {
        try await inFolder { folder in
            let environment = ["POMELO_CONFIG": folder, "POMELO_ENV": "green", "POMELO_ID": "nobody"]
            #expect(try await run(["servers"], environment).lines.first == "g\tchat\t127.0.0.1\t7002\t")
            #expect(try await run(["servers", "--env", "blue"], environment).lines.first?.hasPrefix("chat-b") == true)
            for words in [["health"], []] {
                let output = try await run(words, environment)
                #expect(output.lines[0].hasSuffix("no server \"nobody\" for green; it has: g, m"), "\(output)")
            }
        }
    }

    static let addresses: [(String, [String: String], String)] = [
        ("blue", ["POMELO_REDIS_HOST": "10.1.1.1"], "10.1.1.1\t6390"),
        ("blue", ["POMELO_REDIS_PORT": "7", "POMELO_REDIS_PASSWORD": "12"], "10.0.0.1\t7"),
        ("blue", ["REDIS_URL": "redis://u:p@10.2.2.2:7777/3"], "10.2.2.2\t7777"),
        ("blue", ["REDIS_URL": "redis://a", "POMELO_REDIS_URL": "redis://b"], "b\t6379"),
        ("green", ["REDIS_URL": "redis://10.2.2.2"], "10.2.2.2\t6379"),
        ("green", ["POMELO_REDIS_DB": "1"], "10.0.0.2\t6379"),
        ("blue", ["REDIS_URL": "redis+unix:///run/redis.sock"], "/run/redis.sock\t0"),
        ("blue", ["POMELO_REDIS_PATH": "/run/redis.sock"], "/run/redis.sock\t0"),
        ("green", ["POMELO_REDIS_CLUSTER": "10.2.2.2:7000"], "10.2.2.2\t7000\tcluster"),
        ("blue", ["POMELO_REDIS_SENTINELS": "10.2.2.2", "POMELO_REDIS_PRIMARY": "m"], "10.2.2.2\t26379\tsentinel"),
    ]

    @Test(arguments: addresses) @Loop func variablesSayWhereRedisIs(
        _ env: String, _ variables: [String: String], _ says: String
    ) async throws {
        try await inFolder { folder in
            let output = try await run(["redis", "--config", folder, "--env", env], variables)
            #expect(output == Output(status: .exited(0), lines: [says]))
        }
    }

    static let mistakes: [([String: String], String)] = [
        (["POMELO_REDIS_PORT": "secret"], #"POMELO_REDIS_PORT: "port" must be a number from 1 to 65535"#),
        (["POMELO_REDIS_HOTS": "secret"], "is no key of config/redis.json; the nearest is POMELO_REDIS_HOST"),
        (["REDIS_URL": "http://secret"], #"REDIS_URL: "url" must be an address like redis://"#),
        (["REDIS_URL": "redis+sentinel://u:secret@a,b:x/m"], "the port of host number 2 is no number from 1 to 65535"),
        (
            ["POMELO_REDIS_SENTINELS": "a,b"],
            #"POMELO_REDIS_SENTINELS: "sentinels" must be beside "primary", the name under"#
        ),
        (
            ["POMELO_REDIS_CLUSTER": "a,b", "POMELO_REDIS_PATH": "/secret"],
            #"POMELO_REDIS_PATH: "path" must be absent when "cluster" is given"#
        ),
        (
            ["REDIS_URL": "rediss://:secret@h?verify=maybe"],
            "host:port/db: the parameter \"verify\" must be full or none"
        ),
        (
            ["REDIS_URL": "redis://:secret@h", "POMELO_REDIS_HOST": "x"],
            #"POMELO_REDIS_HOST: "host" must be absent when "url" is given"#
        ),
    ]

    @Test(arguments: mistakes) @Loop func aWrongVariableIsNamedAndNotShown(
        _ variables: [String: String], _ says: String
    ) async throws {
        try await inFolder { folder in
            let output = try await run(["redis", "--config", folder, "--env", "blue"], variables)
            #expect(output.status == .exited(1) && output.lines.count == 1)
            let line = output.lines[0].replacing(folder, with: "config")
            #expect(line.hasPrefix("error: ") && line.contains(says) && !line.contains("secret"), "\(line)")
        }
    }

    @Test @Loop func aWrongLogLevelIsAnError() async throws {
        let output = try await run(["--id", "chat-server-1"], ["LOG_LEVEL": "loud"])
        #expect(output.status == .exited(1))
        #expect(output.lines[0].hasPrefix("error: LOG_LEVEL must be one of: trace, debug, info"), "\(output)")
    }

    /// The whole program: `connector.json` is not there, the level is the log's, the misspelt one is named.
    @Test @Loop func variablesCountInARunningServer() async throws {
        let chat = try await ServerProcesses.prepare("LessonChat", config: "config/lesson")
        chat.environment = [
            "POMELO_CONNECTOR_HEARTBEAT_SECONDS": "7", "POMELO_CONECTOR_MAX_PENDING": "1", "LOG_LEVEL": "warning",
            "REDIS_URL": "redis://127.0.0.1:\(chat.redis.port)?key_prefix=lesson:",
            "POMELO_REDIS_CLIENT_NAME": "lesson",
        ]
        try chat.write("redis", ["development": ["host": "192.0.2.1"]])
        try await chat.startAll()
        let id = try #require(chat.ids.first { chat.clientPorts[$0] != nil })
        let client = try await chat.connect(id)
        #expect(client.handshakes.first?["sys"]?["heartbeat"] == 7)
        let lines = chat[id].lines
        #expect(lines.contains { $0.contains("the nearest is POMELO_CONNECTOR_…") }, "\(lines)")
        let connections = try await chat.redis.command("CLIENT", "LIST")
        for name in ["lesson:\(id)", "lesson:\(id):control", "lesson:\(id):messages"] {
            #expect(connections.contains { $0.contains(" name=\(name) ") }, "\(connections)")
        }
        let keys = try await chat.redis.command("KEYS", "*")
        #expect(!keys.isEmpty && keys.allSatisfy { $0.hasPrefix("lesson:") }, "\(keys)")
        #expect(!lines.contains { $0.contains(" info ") }, "\(lines)")
        client.close()
        try await chat.stop()
    }

    /// The error of a wrong option is the variable's.
    @Test @Loop func aWrongOptionOfARunningServerNamesItsVariable() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        chat.environment = ["POMELO_CONNECTOR_MAX_PENDING": "many"]
        try chat.launch("connector-server-1")
        #expect(try await chat.awaitExit("connector-server-1") == .exited(1))
        try await eventually("the error line") {
            chat["connector-server-1"].lines.contains { $0.contains("error: POMELO_CONNECTOR_MAX_PENDING must be") }
        }
        try await chat.stop()
    }
}

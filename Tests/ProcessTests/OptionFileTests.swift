// SPDX-License-Identifier: MIT
import Foundation
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// The option files that docstrings and README promise are read by the real program, strictly.
@Suite(.serialized) struct OptionFileTests {
    private static let readme: String = {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("README.md")
        guard let data = FileManager.default.contents(atPath: path.path) else { return "" }
        return String(decoding: data, as: UTF8.self)
    }()

    /// The error of a start with this file.
    @Loop private func refusal(_ name: String, _ value: JSON, of id: String = "connector-server-1") async throws
        -> String
    {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        try chat.write(name, value)
        try chat.launch(id)
        #expect(try await chat.awaitExit(id, within: .seconds(10)) == .exited(1))
        try await eventually("an error line, in \(chat[id].lines)", within: .seconds(5)) {
            chat[id].lines.contains { $0.hasPrefix("error: ") }
        }
        let errors = chat[id].lines.filter { $0.hasPrefix("error: ") }
        #expect(errors.count == 1, "\(chat[id].lines)")
        let folder = chat.folder
        try await chat.stop()
        return (errors.first ?? "").replacing(folder, with: "config")
    }

    /// An unknown key is refused with those there are, and README has each of them.
    @Test(arguments: ["cluster", "globalChannel", "status", "rpc", "connector", "limits", "redis"])
    @Loop func anUnknownKeyNamesThoseThereAre(_ name: String) async throws {
        let error = try await refusal(name, ["development": ["nonsense": 1]])
        #expect(error.contains("config/\(name).json") && error.contains("nonsense"), "\(error)")
        let known = try #require(error.split(separator: "known are: ").last).split(separator: ", ")
        #expect(known.count > 2, "\(error)")
        for key in known { #expect(Self.readme.contains("`\(key)`"), "README does not name \(key) of \(name).json") }
    }

    @Test @Loop func anUnknownEnvironmentIsNamedWithThoseThereAre() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        let id = "chat-server-1"
        try chat.launch(id, arguments: ["--env", "developement", "--id", id, "--config", chat.folder])
        #expect(try await chat.awaitExit(id, within: .seconds(10)) == .exited(1))
        let says = "error: there is no environment \"developement\" in the folder \(chat.folder); it has: development"
        try await eventually("the error, in \(chat[id].lines)", within: .seconds(5)) {
            chat[id].lines.contains { $0.contains(says.dropFirst("error: ".count)) }
        }
        try await chat.stop()
    }

    static let redis: [(JSON, String)] = [
        (["production": ["host": "h"]], #"config/redis.json has no section "development"; it has: production"#),
        (
            ["development": ["sentinels": [["host": "h", "port": 26379]]]],
            #"config/redis.json: "sentinels" must be beside "primary""#
        ),
    ]

    @Test(arguments: redis) @Loop func aRedisFileThatMeansSomethingElseIsRefused(_ value: JSON, _ says: String)
        async throws
    {
        let error = try await refusal("redis", value)
        #expect(error.contains(says), "\(error)")
    }

    /// What a file says is what clients see.
    @Test @Loop func whatTheFilesSayCounts() async throws {
        let chat = try await ServerProcesses.prepare("LessonChat", config: "config/lesson")
        try chat.write("connector", ["development": ["heartbeatSeconds": 7]])
        try chat.write("globalChannel", ["development": ["prefix": "ROOMS"]])
        try chat.write("status", ["development": ["prefix": "WHO", "singleSession": "allow"]])
        try await chat.startAll()
        let client = try await chat.connect("connector")
        #expect(client.handshakes.first?["sys"]?["heartbeat"] == 7)
        #expect(try await client.request("connector.handler.login", ["userId": "ann", "lessonId": 4])["code"] == 0)
        try await eventually("both are published") {
            try await chat.redisHolds(["ROOMS:4:connector": ["ann"], "WHO:ann": ["connector"]])
        }
        client.close()
        try await chat.stop()
    }
}

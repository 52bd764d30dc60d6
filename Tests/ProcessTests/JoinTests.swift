// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// Servers that start when the registry, or a server of their name, is not what they expect.
@Suite(.serialized) struct JoinTests {
    @Loop private func say(_ text: String, _ from: TestClient, _ to: TestClient) async throws {
        #expect(try await from.request("chat.chatHandler.send", ["content": .string(text), "target": "*"]) == [:])
        // Whoever sends is a member too.
        for client in [from, to] { #expect(try await client.next("onChat")["msg"]?.string == text) }
    }

    /// A configuration in which one server has other ports.
    @Loop private func elsewhere(_ id: String, _ chat: ServerProcesses) async throws -> String {
        let folder = chat.folder + "-elsewhere"
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.copyItem(atPath: chat.folder, toPath: folder)
        var servers = try chat.read("\(folder)/servers.json")
        guard var section = servers["development"]?.object, case .object(var file) = servers else { return folder }
        for type in section.keys {
            var list = section[type]?.array ?? []
            for index in list.indices where list[index]["id"]?.string == id {
                guard case .object(var server) = list[index] else { continue }
                server["port"] = .int(Int64(try await TestPorts.next()))
                if server["clientPort"] != nil {
                    server["clientPort"] = .int(Int64(try await TestPorts.next()))
                }
                list[index] = .object(server)
            }
            section[type] = .array(list)
        }
        file["development"] = .object(section)
        servers = .object(file)
        try Data(servers.encoded()).write(to: URL(fileURLWithPath: "\(folder)/servers.json"))
        return folder
    }

    /// Each supervisor starts its own again and again: the one that came first stays, with its clients.
    @Test @Loop func aSecondProcessOfALiveServersId() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let id = "connector-server-1"
        let ann = try await chat.enter("ann", "hall", at: id)
        let bob = try await chat.enter("bob", "hall", at: "connector-server-2")
        let folder = try await elsewhere(id, chat)
        for round in 0..<4 {
            try chat.launch(
                id, as: "second", arguments: ["--env", "development", "--id", id, "--config", folder])
            #expect(try await chat.awaitExit("second", within: .seconds(30)) != .exited(0))
            #expect(chat["second"].lines.contains { $0.contains("already running at 127.0.0.1:") })
            try await say("round \(round)", ann, bob)
        }
        // Longer than a renewal.
        let end = SystemClock.shared.deadline(after: .seconds(4))
        try await eventually("the holder has renewed") { SystemClock.shared.now > end }
        try await say("still here", bob, ann)
        #expect(chat[id].status == nil && ann.end == nil)
        try FileManager.default.removeItem(atPath: folder)
        try await chat.stop()
    }

    /// Redis comes back as it was before every server was started anew.
    @Test @Loop func redisComesBackFromAnOlderSnapshot() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        _ = try await chat.redisCommand(["SAVE"])
        for id in chat.ids {
            chat[id].signal(SIGKILL)
            _ = try await chat.awaitExit(id)
        }
        try await chat.startAll()
        let ann = try await chat.enter("ann", "hall", at: "connector-server-1")
        let bob = try await chat.enter("bob", "hall", at: "connector-server-2")
        try await chat.redis.restart()
        try await eventually("all is published again", within: .seconds(20)) {
            try await chat.redisHolds([
                "POMELO:CHANNEL:hall:connector-server-1": ["ann*hall"],
                "POMELO:CHANNEL:hall:connector-server-2": ["bob*hall"],
            ])
        }
        let end = SystemClock.shared.deadline(after: .seconds(5))
        try await eventually("all have renewed") { SystemClock.shared.now > end }
        for id in chat.ids { #expect(chat[id].status == nil, "\(chat[id].lines.suffix(3))") }
        try await say("there", ann, bob)
        try await say("and back", bob, ann)
        try await chat.stop()
    }

    /// What the new chat server acknowledges reaches everybody, although the registry was empty when it started.
    @Test @Loop func aChatServerStartsRightAfterFLUSHALL() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let ann = try await chat.enter("ann", "hall", at: "connector-server-1")
        let bob = try await chat.enter("bob", "hall", at: "connector-server-2")
        for id in ["chat-server-1", "chat-server-2"] {
            chat[id].signal(SIGKILL)
            _ = try await chat.awaitExit(id)
        }
        _ = try await chat.redisCommand(["FLUSHALL"])
        try chat.launch("chat-server-1")
        try await chat.awaitUp("chat-server-1")
        var number = 0
        try await eventually("the new server is asked", within: .seconds(15)) {
            number += 1
            let text = "try \(number)"
            let answer = try await ann.request(
                "chat.chatHandler.send", ["content": .string(text), "target": "*"])
            guard answer == [:] else { return false }
            #expect(try await bob.next("onChat")["msg"]?.string == text)
            return true
        }
        try await chat.stop()
    }

    /// Silent connections keep a server from answering: who joins meanwhile waits, and does not join unproved.
    @Test @Loop func aFloodOfSilentConnectionsDoesNotOpenTheDoor() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        chat.environment["POMELO_SECRET"] = "right"
        try chat.launch("connector-server-1")
        try await chat.awaitUp("connector-server-1")
        let file = try chat.read("\(chat.folder)/servers.json")
        let record = file["development"]?["connector"]?.array?.first { $0["id"]?.string == "connector-server-1" }
        let port = Int(record?["port"]?.int ?? 0)
        let flood = Flood(SocketAddress(host: "127.0.0.1", port: port))
        try await flood.begin(300)
        chat.environment["POMELO_SECRET"] = "wrong"
        try chat.launch("chat-server-1")
        // On a busy machine the flood may leave a gap: then it is refused at once, and joins as little.
        try await eventually("it was kept waiting, or refused", within: .seconds(30)) {
            chat["chat-server-1"].status != nil
                || chat["chat-server-1"].lines.contains { $0.contains("the cluster secret is not proved yet") }
        }
        let registered = try await chat.redisCommand(["HKEYS", "pomelo:{chat}:servers"])
        #expect(!registered.contains("chat-server-1"))
        flood.end()
        #expect(try await chat.awaitExit("chat-server-1", within: .seconds(30)) != .exited(0))
        #expect(chat["chat-server-1"].lines.contains { $0.contains("does not accept the cluster secret") })
        try await chat.stop()
    }
}

/// Connections that say nothing; each that is closed is opened again.
@Loop private final class Flood: ByteStreamDelegate {
    private let address: SocketAddress
    private var streams: [ObjectIdentifier: any ByteStream] = [:]
    private var isOver = false

    init(_ address: SocketAddress) { self.address = address }

    func begin(_ count: Int) async throws {
        for _ in 0..<count { try await open() }
    }

    func end() {
        isOver = true
        for stream in streams.values { stream.close() }
    }

    private func open() async throws {
        let stream = try await ServerProcesses.network.connect(to: address, within: .seconds(5))
        streams[ObjectIdentifier(stream)] = stream
        stream.delegate = self
    }

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {}

    func streamDidDrain(_ stream: any ByteStream) {}

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        streams[ObjectIdentifier(stream)] = nil
        guard !isOver else { return }
        Loop.spawn {
            do { try await self.open() } catch { self.isOver = true }
        }
    }
}

// SPDX-License-Identifier: MIT
import Glibc
import PomeloJSON
import PomeloLoop
import PomeloSync
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@testable import Chat
@testable import PomeloSyncSQLite

/// `Chat sync list|retry|drop` asks the servers for their dead letters.
@Suite struct SyncCommandTests {
    private static let one = "chat-server-1"

    /// What the command says, and how it ends when that is not with 0.
    @Loop private func sync(_ words: String..., in chat: ServerProcesses) async throws -> [String] {
        try await sync(words, in: chat)
    }

    @Loop private func sync(_ words: [String], in chat: ServerProcesses) async throws -> [String] {
        var lines: [String] = []
        var status: ChildProcess.Ending?
        let child = try ChildProcess(
            ChildProcess.Command("\(ServerProcesses.binaries)/Chat", ["sync", "--config", chat.folder] + words),
            onLine: { lines.append($0) }, onExit: { status = $0 })
        try await eventually("the end of \(child.pid)", within: .seconds(10)) { status != nil }
        return lines.sorted() + (status == .exited(0) ? [] : ["\(status ?? .exited(-1))"])
    }

    @Test @Loop func deadLettersAreListedTriedAgainAndDropped() async throws {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        let path = "\(chat.folder)/guests.sqlite"
        try chat.write("guests", ["development": ["file": .string(path)]])
        for id in [Self.one, "connector-server-1"] {
            try chat.launch(id)
            try await chat.awaitUp(id)
        }
        let database = try SQLiteConnection(path, creates: false, busyMilliseconds: 1000)
        try database.run(
            """
            CREATE TRIGGER unwanted BEFORE INSERT ON sync_guest WHEN NEW.id IN ('eve', 'mallory')
            BEGIN SELECT RAISE(ABORT, 'not wanted'); END
            """)
        #expect(try await sync("list", in: chat).isEmpty)
        for name in ["eve", "mallory"] {
            let guest = try await chat.enter(name, "hall", at: "connector-server-1")
            try await guest.leave()
            try await eventually("\(name) is given up", within: .seconds(30)) {
                try await sync("list", in: chat).count == (name == "eve" ? 1 : 2)
            }
        }
        let said = #"{"room":"hall","said":0}"#
        let list = ["eve", "mallory"].enumerated().map { index, name in
            "\(Self.one)\t\(index + 1)\tguest\t\(name)\tSQLite: not wanted (19, \(path))\t\(said)"
        }
        #expect(try await sync("list", in: chat) == list)
        #expect(try await sync("list", "--id", Self.one, in: chat) == list)
        #expect(try await sync("drop", "--id", Self.one, "2", in: chat) == ["\(Self.one): 1 dropped"])
        #expect(try await sync("list", in: chat) == [list[0]])
        try await refusals(chat)
        chat[Self.one].signal(SIGKILL)
        _ = try await chat.awaitExit(Self.one)
        try chat.launch(Self.one)
        try await chat.awaitUp(Self.one)
        #expect(try await sync("list", in: chat) == [list[0]])
        try database.run("DROP TRIGGER unwanted")
        #expect(try await sync("retry", "--id", Self.one, "all", in: chat) == ["\(Self.one): 1 tried again"])
        let file = try SQLiteSyncSink(path, [SQLTable(.guest)])
        try await file.start()
        try await eventually("eve is written") { try await file.value(of: .guest, "eve")?.room == "hall" }
        #expect(try await sync("list", in: chat).isEmpty)
        await file.stop()
        try await chat.stop()
    }

    @Loop private func refusals(_ chat: ServerProcesses) async throws {
        let failed = "\(ChildProcess.Ending.exited(1))"
        let usage = "error: sync list, or sync retry or sync drop with the numbers that list shows, or with all"
        for words in [[], ["lost"], ["list", "1"], ["retry"], ["drop", "one"]] {
            #expect(try await sync(words, in: chat) == [usage, failed], "\(words)")
        }
        #expect(
            try await sync("retry", "--id", Self.one, "7", in: chat) == [
                "\(Self.one): 0 tried again",
                "error: \(Self.one) has no dead letter 7, or none with a value and a sink", failed,
            ])
        #expect(
            try await sync("list", "--id", "connector-server-1", in: chat)
                == ["error: connector-server-1 does not use sync", failed])
        #expect(
            try await sync("list", "--id", "chat-server-2", in: chat)
                == ["error: chat-server-2 is not up; its dead letters wait for its start", failed])
        #expect(try await sync("drop", "1", in: chat)[0].hasPrefix("error: which server? Give --id with one of: "))
    }
}

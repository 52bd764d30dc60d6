// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// The order of filters, and what an error does to it.
@Suite struct FilterTests {
    @Loop private func ask(
        handler: @escaping @Loop @Sendable () throws -> Bytes = { Array("{}".utf8) }, _ journal: Journal<String>,
        _ setUp: @Loop (Application) throws -> Void
    ) async throws -> String? {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        try await cluster.start("connector-1") { app in
            try setUp(app)
            try app.handle(
                Routes {
                    $0.on(raw: "connector.test.raw") { _, _ in
                        journal.note("handler")
                        return try handler()
                    }
                })
        }
        let socket = try #require(cluster.connect("connector-1"))
        let id = socket.request("connector.test.raw")
        await cluster.settle()
        return socket.texts(id).first
    }

    @Test @Loop func beforesInOrderAftersInReverse() async throws {
        let journal = Journal<String>()
        let answer = try await ask(journal) { app in
            app.filter(Note("a", journal))
            app.globalFilter(Note("g", journal))
            app.before(Note("b", journal))
            app.after(Note("c", journal))
            app.filter(Note("d", journal))
        }
        #expect(answer == "{}")
        #expect(
            journal.entries == [
                "g before", "a before", "b before", "d before", "handler", "d after", "c after", "a after", "g after",
            ])
    }

    /// In pomelo 2.2.7 one that was thrown left the request unanswered; lib/common/service/filterService.js.
    @Test @Loop func anErrorOfABeforeSkipsTheRestAndAftersStillRun() async throws {
        let journal = Journal<String>()
        let answer = try await ask(journal) { app in
            app.filter(Note("a", journal))
            app.filter(Note("b", journal, refuses: Fault(403, "not here")))
            app.filter(Note("c", journal))
        }
        #expect(answer == #"{"code":403,"message":"not here"}"#)
        #expect(journal.entries == ["a before", "b before", "c after failed", "b after failed", "a after failed"])
    }

    @Test @Loop func anAfterSeesTheErrorAndMayReplaceIt() async throws {
        let journal = Journal<String>()
        let answer = try await ask(handler: { throw Fault(500) }, journal) { app in
            app.after(Note("outer", journal))
            app.after(Replace("{\"mended\":true}"))
        }
        #expect(answer == "{\"mended\":true}")
        #expect(journal.entries == ["handler", "outer after"])
    }

    @Test @Loop func aGlobalFilterIsAroundForwardedRequestsToo() async throws {
        let journal = Journal<String>()
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        try await cluster.start("connector-1") { app in
            app.globalFilter(Note("global", journal))
            app.filter(Note("frontend", journal))
        }
        try await cluster.start("chat-1") { app in
            app.filter(Note("chat", journal))
            app.globalFilter(Note("not here", journal))
            try app.handle(Routes { $0.on(raw: "chat.test.raw") { body, _ in body } })
        }
        let socket = try #require(cluster.connect("connector-1"))
        socket.request("chat.test.raw")
        await cluster.settle()
        #expect(journal.entries == ["global before", "chat before", "chat after", "global after"])
    }
}

@Loop private struct Note: Filter {
    let name: String
    let journal: Journal<String>
    let refusal: Fault?

    init(_ name: String, _ journal: Journal<String>, refuses refusal: Fault? = nil) {
        self.name = name
        self.journal = journal
        self.refusal = refusal
    }

    func before(_ request: Request) async throws {
        journal.note("\(name) before")
        if let refusal { throw refusal }
    }

    func after(_ request: Request, _ outcome: Outcome) async -> Outcome {
        if case .failure = outcome { journal.note("\(name) after failed") } else { journal.note("\(name) after") }
        return outcome
    }
}

@Loop private struct Replace: Filter {
    let body: String
    init(_ body: String) { self.body = body }
    func after(_ request: Request, _ outcome: Outcome) async -> Outcome { .success(Array(body.utf8)) }
}

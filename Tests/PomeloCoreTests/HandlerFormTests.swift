// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

private enum FormAPI {
    static let wave = Call<Nothing, Nothing>("connector.form.wave")
    static let nod = Call<Nothing, Nothing>("connector.form.nod")
    static let fail = Call<Nothing, Nothing>("connector.form.fail")
    static let bow = Call<Nothing, Nothing>("connector.form.bow")
    static let old = Call<Nothing, Nothing>("connector.form.old")
    static let oldest = Call<Nothing, Nothing>("connector.form.oldest")
    static let keep = Call<Nothing, [String: JSON]>("connector.form.keep")
    static let tell = Remote<Nothing, Nothing>("chat.remote.tell")
    static let hint = Remote<Nothing, Nothing>("chat.remote.hint")
}

/// Methods that say no more than they mean.
@Loop private struct FormHandler: Handler {
    let app: Application
    let journal: Journal<String>

    var routes: [ServedRoute] {
        on(FormAPI.wave, wave)
        on(FormAPI.nod, nod)
        on(FormAPI.fail) { _, _ in throw Fault(1001, "no") }
        on(FormAPI.keep, keep)
        on(FormAPI.bow) { _, session in
            if session.uid != nil { return }
            try await session.pushAll()
        }
        on(FormAPI.old) { _, session in
            if session.uid != nil { return Nothing() }
            try await session.pushAll()
            return Nothing()
        }
        on(FormAPI.oldest) { _, _ in Nothing() }
    }

    func wave(_: Nothing, _ session: Session) async throws {
        try await app.rpc.call(FormAPI.tell, Nothing(), to: "chat-1")
        try await app.rpc.call(FormAPI.hint, Nothing(), to: "chat-1")
    }

    func nod(_: Nothing, _ session: Session) { journal.note("nod") }

    func keep(_: Nothing, _ session: Session) -> [String: JSON] {
        let (count, name, big, isFrontend, share) = (3, "ann", UInt64.max, true, 0.5)
        session.set("count", count)
        session.set("name", name)
        session.set("channel", ChannelName("hall"))
        session.set("big", big)
        session.set("frontend", isFrontend)
        session.set("share", share)
        session.set("session", session.id)
        session.remove("session")
        // As ever.
        session.set("literal", 4)
        session.set("text", "hello \(name)")
        session.set("list", [1, "a", nil])
        session.set("dotted", .string(name))
        session.set("made", .init(count))
        return Dictionary(session.settings.map { ($0, $1) }) { $1 }
    }
}

@Loop private struct FormRemote: Handler {
    let journal: Journal<String>
    var routes: [ServedRoute] {
        on(FormAPI.tell, tell)
        on(FormAPI.hint) { _ in journal.note("hint") }
    }

    func tell(_: Nothing) async throws { journal.note("tell") }
}

/// What handlers and sessions take without ceremony.
@Suite struct HandlerFormTests {
    @Loop private func client() async throws -> (client: TestSocket, journal: Journal<String>, cluster: TestCluster) {
        let journal = Journal<String>()
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        try await cluster.startAll { app in
            try app.configure("all", "connector") { try $0.handle(FormHandler(app: $0, journal: journal)) }
            try app.configure("all", "chat") { try $0.handle(FormRemote(journal: journal)) }
        }
        return (try #require(cluster.connect("connector-1")), journal, cluster)
    }

    @Test @Loop func aMethodThatReturnsNothingAnswersAnEmptyObject() async throws {
        let (client, journal, _) = try await client()
        #expect(await client.ask("connector.form.wave") == "{}")
        for form in ["nod", "bow", "old", "oldest"] { #expect(await client.ask("connector.form.\(form)") == "{}") }
        #expect(await client.ask("connector.form.fail") == #"{"code":1001,"message":"no"}"#)
        #expect(journal.entries == ["tell", "hint", "nod"])
    }

    @Test @Loop func aSettingIsANumberATextOrAName() async throws {
        let (client, _, _) = try await client()
        let kept = try await client.request(FormAPI.keep, Nothing())
        #expect(
            kept == [
                "count": 3, "name": "ann", "channel": "hall", "big": .uint(.max), "frontend": true, "share": 0.5,
                "literal": 4, "text": "hello ann",
                "list": [1, "a", nil], "dotted": "ann", "made": 3,
            ])
    }

    @Test @Loop func aHandlerInTheWrongPlaceIsToldWhere() throws {
        let app = try TestCluster(TestCluster.records(connectors: 1, chats: 1)).make("connector-1")
        func refusal(_ route: @escaping @Loop (Routes) -> ServedRoute) -> String {
            let error = #expect(throws: PomeloError.self) { try app.handle(Routes { route($0) }) }
            return error?.message ?? ""
        }
        let place = #", for its type is connector: handle it within configure("all", "chat")"#
        #expect(refusal { $0.on(FormAPI.tell) { _ in } } == "connector-1 cannot serve chat.remote.tell" + place)
        #expect(refusal { $0.on(raw: "chat.a.b") { body, _ in body } } == "connector-1 cannot serve chat.a.b" + place)
        let own = Remote<Nothing, Nothing>("connector.remote.tell")
        try app.handle(Routes { $0.on(own) { _ in } })
        #expect(refusal { $0.on(own) { _ in } } == "the remote connector.remote.tell is served twice")
        let two = Remote<Nothing, Nothing>("connector.tell")
        #expect(refusal { $0.on(two) { _ in } }.hasPrefix("the route connector.tell must have three parts"))
    }

    /// Nil looks like a refusal, and the test would go on.
    @Test @Loop func aFrontendThatIsNotThereIsNamed() async throws {
        let (_, _, cluster) = try await client()
        for id: ServerID in ["conector-1", "chat-1", "", "a\nb"] {
            withKnownIssue {
                #expect(cluster.connect(id) == nil)
            } matching: {
                $0.comments.contains {
                    $0.rawValue.hasSuffix(#"called \#(id.rawValue.debugDescription); there are: connector-1"#)
                }
            }
        }
        await cluster.stop("connector-1")
        #expect(cluster.connect("connector-1") == nil, "it does not run")
    }
}

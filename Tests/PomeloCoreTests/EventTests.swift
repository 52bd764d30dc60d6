// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// The events of an application, with what they carry.
@Suite struct EventTests {
    @Test @Loop func sessionEventsCarryTheUserToTheEnd() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        let journal = Journal<String>()
        let app = try await cluster.start("connector-1") { $0.listen(Listener(journal)) }
        let socket = try #require(cluster.connect("connector-1"))
        let session = try #require(app.sessionService.all.first)
        try await app.sessionService.bind(session.id, "u")
        try app.sessionService.unbind(session.id, "u")
        try await app.sessionService.bind(session.id, "v")
        try app.sessionService.push(session.id, ["room": "r"])
        socket.disconnect()
        await cluster.settle()
        #expect(
            journal.entries.filter { !$0.hasPrefix("add") } == [
                "started connector-1", "all started", "bound u", "unbound u, now nobody", "bound v",
                "closed v in r: client left",
            ])
    }

    /// The documentation of the original promised records; its code, and this, carry ids.
    @Test @Loop func serverEventsCarryRecordsAndRemovalsIds() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        let journal = Journal<String>()
        let app = try await cluster.start("connector-1") { $0.listen(Listener(journal)) }
        try await cluster.start("chat-1")
        await cluster.settle()
        await cluster.stop("chat-1")
        await cluster.settle()
        #expect(journal.entries.contains("added chat-1 at 6001") && journal.entries.contains("removed chat-1"))
        let other = ServerRecord(id: "area-1", type: "area", port: 1)
        let own = ServerInfo(record: app.record, instance: app.instance, state: .up)
        app.servers.replace([own, ServerInfo(record: other, instance: "i", state: .up)])
        #expect(journal.entries.suffix(2) == ["added area-1 at 1", "replaced area-1, connector-1"])
        #expect(app.serverTypes == ["area", "chat", "connector"])
    }

    @Test @Loop func listenersHearInTheOrderTheyWereAdded() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1))
        let journal = Journal<String>()
        try await cluster.start("chat-1") { app in
            app.listen(Listener(journal, "1 "))
            app.listen(Listener(journal, "2 "))
        }
        #expect(journal.entries.filter { $0.contains("started chat") } == ["1 started chat-1", "2 started chat-1"])
    }
}

@Loop private final class Listener: EventListener {
    private let journal: Journal<String>
    private let mark: String

    init(_ journal: Journal<String>, _ mark: String = "") {
        self.journal = journal
        self.mark = mark
    }

    private func note(_ text: String) { journal.note(mark + text) }

    func addServers(_ servers: [ServerRecord]) { for one in servers { note("added \(one.id) at \(one.port)") } }
    func removeServers(_ ids: [ServerID]) { note("removed " + ids.map(\.rawValue).joined(separator: ", ")) }
    func replaceServers(_ servers: [ServerRecord]) {
        note("replaced " + servers.map(\.id.rawValue).sorted().joined(separator: ", "))
    }
    func bindSession(_ session: Session) { note("bound \(session.uid ?? "nobody")") }
    func unbindSession(_ session: Session, from uid: UserID) { note("unbound \(uid), now \(session.uid ?? "nobody")") }
    func closeSession(_ session: Session, _ end: SessionEnd) {
        note("closed \(session.uid ?? "nobody") in \(session.get("room")?.string ?? "no room"): \(end)")
    }
    func startServer(_ id: ServerID) { note("started \(id)") }
    func startAll() { note("all started") }
}

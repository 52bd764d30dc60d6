// SPDX-License-Identifier: MIT
import Pomelo

/// A plugin that remembers what happened to this server, and to the others.
struct Pulse: Plugin {
    let name = "pulse"

    func install(into app: Application, _ options: inout PluginOptions) throws {
        let attendance = Attendance(try options.take("attendance", over: .init()))
        let topology = Topology(try options.take("topology", over: .init()))
        try app.load(attendance)
        try app.load(topology)
        app.listen(attendance)
        app.listen(topology)
        app.setService(attendance)
        app.setService(topology)
    }
}

/// Who came and went.
@Loop final class Attendance: Component, EventListener {
    struct Options: Codable {
        /// How many events are kept.
        var keep = 50
    }

    let name = "attendance"
    private(set) var events: [String] = []
    private let keep: Int

    init(_ options: Options) { keep = options.keep }

    func bindSession(_ session: Session) { note("bind \(session.uid ?? "")") }
    func unbindSession(_ session: Session, from uid: UserID) { note("unbind \(uid)") }
    func closeSession(_ session: Session, _ end: SessionEnd) { note("close \(session.uid ?? "") (\(end))") }

    private func note(_ event: String) { events = (events + [event]).suffix(keep) }
}

/// Which servers came and went.
@Loop final class Topology: Component, EventListener {
    struct Options: Codable {
        /// Types that are left out.
        var without: Set<ServerType> = []
    }

    let name = "topology"
    private(set) var events: [String] = []
    private let without: Set<ServerType>

    init(_ options: Options) { without = options.without }

    func addServers(_ servers: [ServerRecord]) { note("add", servers) }
    func removeServers(_ ids: [ServerID]) { events += ids.map { "remove \($0)" } }
    func replaceServers(_ servers: [ServerRecord]) { note("replace", servers) }
    func startServer(_ id: ServerID) { events.append("start \(id)") }
    func startAll() { events.append("start all") }

    private func note(_ event: String, _ servers: [ServerRecord]) {
        events += servers.filter { !without.contains($0.type) }.map { "\(event) \($0.id)" }
    }
}

/// What the plugin and the meter have seen, for the curious.
struct PulseHandler: Handler {
    let app: Application
    let meter: CallMeter

    var routes: [ServedRoute] { on(json: "connector.pulseHandler.report", report) }

    func report(_: JSON, _ session: Session) throws -> JSON {
        guard let attendance = app.service(Attendance.self), let topology = app.service(Topology.self) else {
            throw Fault(500)
        }
        return [
            "server": JSON(app.serverID), "attendance": try JSON(attendance.events),
            "topology": try JSON(topology.events), "calls": try JSON(meter.calls),
            "failures": try JSON(meter.failures),
        ]
    }
}

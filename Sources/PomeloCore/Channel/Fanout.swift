// SPDX-License-Identifier: MIT
public import PomeloLoop
public import PomeloWire

/// Pushes to users at known frontends: one call per frontend, the own one without a call.
///
/// ```
/// call   route text | user ids texts | body to the end
/// reply  queued u32 | slow u32 | user ids without a session, texts
/// ```
@Loop public final class Fanout {
    private static let procedure = "channel.push"
    private unowned let application: Application

    init(_ application: Application) {
        self.application = application
        application.procedures.immediate("sys/" + Self.procedure) { [unowned self] _, payload in
            var reader = PayloadReader(payload)
            let route = try reader.text()
            let uids = try reader.texts().map { UserID($0) }
            return Self.encode(self.deliver(try PushMessage(route: route, body: reader.rest()), to: uids))
        }
    }

    /// Pushes one message to users, grouped by the frontend that holds them.
    ///
    /// - Guarantee: at most once per session; frontends that do not answer within 2 s are in `failed`.
    public func push(_ message: PushMessage, to users: [ServerID: [UserID]]) async -> PushReport {
        var report = PushReport()
        if let own = users[application.serverID] { report.merge(deliver(message, to: own)) }
        let others = users.filter { $0.key != application.serverID }
        report.merge(
            await callEach(Array(others.keys), Self.procedure) { server in
                var payload = PayloadWriter()
                payload.text(message.route)
                payload.texts((others[server] ?? []).map(\.rawValue))
                payload.rest(message.body)
                return payload.bytes
            })
        if !report.failed.isEmpty { report.failedUids = Set(report.failed.keys.flatMap { users[$0] ?? [] }).sorted() }
        return report
    }

    /// Pushes to the sessions of users on this frontend.
    public func deliver(_ message: PushMessage, to uids: [UserID]) -> PushReport {
        var report = PushReport()
        application.pushSchedulers.assign(message)
        for uid in uids {
            let sessions = application.sessionService.get(byUid: uid)
            if sessions.isEmpty { report.noSession.append(uid) }
            for session in sessions {
                if session.send(message) { report.queued += 1 } else { report.slow += 1 }
            }
        }
        return report
    }

    /// Calls one procedure on several servers at once; who fails is in the report's `failed`.
    public func callEach(
        _ servers: [ServerID], _ procedure: String, _ payload: (ServerID) -> Bytes
    ) async -> PushReport {
        guard !servers.isEmpty else { return PushReport() }
        let gathering = Gathering(expected: servers.count)
        let deadline = application.limits.pushCall
        for server in servers {
            application.rpc.system(server, procedure, payload(server), within: deadline) { outcome in
                gathering.add(Self.decode(outcome, server))
            }
        }
        return await gathering.report()
    }

    /// The wire form of a frontend's part of a report.
    public static func encode(_ report: PushReport) -> Bytes {
        var payload = PayloadWriter()
        payload.count(report.queued)
        payload.count(report.slow)
        payload.texts(report.noSession.map(\.rawValue))
        return payload.bytes
    }

    private static func decode(_ outcome: Result<Bytes, RPCError>, _ server: ServerID) -> PushReport {
        var report = PushReport()
        do {
            var reader = PayloadReader(try outcome.get())
            report.queued = try reader.count()
            report.slow = try reader.count()
            report.noSession = try reader.texts().map { UserID($0) }
        } catch let error as RPCError {
            report.failed[server] = error
        } catch {
            report.failed[server] = .failed(code: 500, message: "\(error)")
        }
        return report
    }
}

/// Collects the parts of one report.
@Loop private final class Gathering {
    private var missing: Int
    private var sum = PushReport()
    private var continuation: CheckedContinuation<PushReport, Never>?

    init(expected: Int) { missing = expected }

    func add(_ part: PushReport) {
        sum.merge(part)
        missing -= 1
        if missing == 0 { continuation?.resume(returning: sum) }
    }

    func report() async -> PushReport {
        await withCheckedContinuation { waiter in
            if missing == 0 { waiter.resume(returning: sum) } else { continuation = waiter }
        }
    }
}

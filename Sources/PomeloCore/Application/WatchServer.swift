// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloJSON
public import PomeloLoop

/// Shows what a server has, and changes little of it, as `watchServer` of the administration.
///
/// ```
/// {"show": "connections" | "logins" | "modules" | "status" | "settings" | "handlers" | "components" | "crons"}
/// {"get": key}     {"set": key, "value": …}     {"enable": key}     {"disable": key}
/// {"enableModule": id}     {"disableModule": id}
/// {"addCron": {"id", "time", "action"}}     {"removeCron": id}     {"kick": uid, "reason": …}
/// {"blacklist": "list" | "add" | "remove", "addresses": […]}
/// ```
///
/// Every server program has it. It runs nothing that it is sent.
///
/// - Source: pomelo-admin 1.0.1, modules/watchServer.js and console.js, without `run` and `exec`; its
///   `blacklist` could only add.
@Loop public final class WatchServer: AdminModule {
    /// `watchServer`.
    public let moduleID = "watchServer"
    private static let mostLogins = 1000
    private static let mostAddresses = 1000
    private unowned let app: Application

    /// Speaks for an application, which it is registered on.
    public init(_ app: Application) { self.app = app }

    /// Answers as above.
    ///
    /// - Throws: `Fault` 400 naming what is missing or unknown.
    public func monitorHandler(_ message: JSON) async throws -> JSON {
        if let what = message["show"]?.string { return try show(what) }
        if let key = message["get"]?.string { return ["value": app.get(key) ?? .null] }
        if let key = message["set"]?.string, let value = message["value"] {
            app.set(key, value)
        } else if let key = message["enable"]?.string {
            app.enable(key)
        } else if let key = message["disable"]?.string {
            app.disable(key)
        } else if let id = message["enableModule"]?.string {
            try app.admin.setEnabled(id, true)
        } else if let id = message["disableModule"]?.string {
            try app.admin.setEnabled(id, false)
        } else if let cron = message["addCron"] {
            try addCron(cron)
        } else if let id = message["removeCron"]?.string {
            app.removeCrons([CronID(id)])
        } else if let what = message["blacklist"]?.string {
            return try changeBlacklist(what, (message["addresses"]?.array ?? []).compactMap(\.string))
        } else if let uid = message["kick"]?.string {
            return ["sessions": JSON(app.sessionService.kick(UserID(uid), reason: message["reason"]?.string ?? "kick"))]
        } else {
            throw Fault(400, "nothing that this server can show or change")
        }
        return [:]
    }

    /// As many as a line has room for; the whole list may be longer than a message.
    private func changeBlacklist(_ what: String, _ addresses: [String]) throws -> JSON {
        switch what {
        case "add": return ["added": JSON(try app.blacklist.add(addresses)), "entries": JSON(app.blacklist.count)]
        case "remove":
            return ["removed": JSON(try app.blacklist.remove(addresses)), "entries": JSON(app.blacklist.count)]
        case "list":
            let shown = app.blacklist.entries.prefix(Self.mostAddresses)
            return ["addresses": .array(shown.map { .string($0) }), "entries": JSON(app.blacklist.count)]
        default: throw Fault(400, "a blacklist has list, add and remove, and not \(what.forLog)")
        }
    }

    /// What can be shown.
    public nonisolated static let subjects = [
        "components", "connections", "crons", "handlers", "logins", "modules", "settings", "status",
    ]

    private func show(_ what: String) throws -> JSON {
        switch what {
        case "connections": connections
        case "logins": logins
        case "modules": modules
        case "status": status
        case "settings": .object(app.settings.reduce(into: [:]) { $0[$1.key] = $1.value })
        case "handlers": .array(app.servedRoutes.map { .string($0) })
        case "components": .array(app.components.map { .string($0.name) })
        case "crons": .array(app.crons.all.map { ["id": .string($0.id.rawValue), "action": .string($0.action)] })
        default: throw Fault(400, "\(what.forLog) is not one of \(Self.subjects.joined(separator: ", "))")
        }
    }

    private var connections: JSON {
        let counted = app.connectionStatistics
        return [
            "connections": JSON(counted.totalConnections), "logins": JSON(counted.logins.count),
            "refused": JSON(counted.refusedConnections),
        ]
    }

    /// The last to come, for a server may have more than a message holds.
    private var logins: JSON { .array(app.connectionStatistics.logins.suffix(Self.mostLogins).map(\.json)) }

    private var modules: JSON {
        .array(app.admin.moduleIDs.map { ["id": .string($0), "enabled": .bool(app.admin.isEnabled($0))] })
    }

    private var status: JSON {
        [
            "type": .string(app.serverType.rawValue), "env": .string(app.env),
            "instance": .string(app.instance.rawValue),
            "servers": .array(app.servers.all.map { .string("\($0.id) \($0.state.rawValue)") }),
        ]
    }

    private func addCron(_ entry: JSON) throws {
        guard let id = entry["id"]?.string, let time = entry["time"]?.string, let action = entry["action"]?.string
        else {
            throw Fault(400, "a cron has an id, a time and an action")
        }
        do {
            try app.addCrons([try Cron(CronID(id), time, action)])
        } catch let error as PomeloError {
            throw Fault(400, error.message)
        }
    }
}

extension ConnectionStatistics.Login {
    fileprivate var json: JSON {
        [
            "uid": .string(uid.rawValue), "session": session.json, "loginTime": .int(loginTime),
            "address": .string("\(address)"),
        ]
    }
}

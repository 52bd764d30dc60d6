// SPDX-License-Identifier: MIT
//
// PomeloCron: jobs that run at their times, whatever is done to the wall clock.
// Reading order: Cron, CronEntry, CronFile, CronField, CronSchedule, CivilTime, CronZone, CronService.
public import PomeloContract

/// The name of a cron, unique in its server; numbers of `crons.json` count as their text.
public struct CronID: Identifier, ExpressibleByIntegerLiteral {
    /// The id as text.
    public let rawValue: String
    /// The id as it is; nothing is checked.
    public init(_ rawValue: String) { self.rawValue = rawValue }
    /// Takes a whole number for an id.
    public init(integerLiteral value: Int) { rawValue = String(value) }
}

/// A job that a server does at its times: one record of `crons.json`.
///
/// - Source: pomelo 2.2.7, template config/crons.json.
public struct Cron: Sendable, Equatable {
    /// When a cron runs.
    public enum Time: Sendable, Equatable {
        /// At the times of a cron text.
        case schedule(CronSchedule)
        /// At `start` (Unix milliseconds; nil: when it is scheduled), then every `period`, in all `count` times.
        ///
        /// Without a period it runs once. Times that have passed when it is scheduled are left out.
        case simple(start: Int64?, period: Duration?, count: Int?)
    }

    /// What `removeCrons` names.
    public let id: CronID
    /// When it runs.
    public let time: Time
    /// What runs: `file.method`, served with `on(cron:)`.
    public let action: String
    /// The one server it runs on; nil: on every server of the type.
    public let server: ServerID?
    /// Whether one server of the type runs it each time, whichever holds the office for that; needs the plugin
    /// `Cluster`.
    ///
    /// - Guarantee: at most one run for each time, as far as the servers' clocks agree. A time at which nobody holds
    ///   the office, for up to 11 s after the death of who did, is left out.
    public let isSingleton: Bool

    /// A cron by its text.
    ///
    /// - Throws: `PomeloError` `.configuration` saying what is wrong with the text.
    public init(
        _ id: CronID, _ time: String, _ action: String, server: ServerID? = nil, isSingleton: Bool = false
    ) throws(PomeloError) {
        try self.init(id, .schedule(CronSchedule(time)), action, server: server, isSingleton: isSingleton)
    }

    /// A cron by its time.
    ///
    /// - Throws: `PomeloError` `.configuration` when the id or action is empty, the period under a millisecond, the
    ///   count not positive, or a singleton has a server.
    public init(
        _ id: CronID, _ time: Time, _ action: String, server: ServerID? = nil, isSingleton: Bool = false
    ) throws(PomeloError) {
        guard !id.rawValue.isEmpty else { throw PomeloError(.configuration, "id must not be empty") }
        guard !action.isEmpty else { throw PomeloError(.configuration, "action must not be empty") }
        guard server == nil || !isSingleton else {
            throw PomeloError(.configuration, "singleton is for crons without serverId")
        }
        if case .simple(_, let period, let count) = time {
            guard period.map({ $0 >= .milliseconds(1) }) ?? true else {
                throw PomeloError(.configuration, "time: period must be at least 1 ms")
            }
            guard count.map({ $0 > 0 }) ?? true else {
                throw PomeloError(.configuration, "time: count must be positive")
            }
        }
        self.id = id
        self.time = time
        self.action = action
        self.server = server
        self.isSingleton = isSingleton
    }
}

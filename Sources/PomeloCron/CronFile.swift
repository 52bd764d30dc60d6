// SPDX-License-Identifier: MIT
package import PomeloConfiguration
package import PomeloContract
import PomeloJSON

/// Reads `crons.json`.
package enum CronFile {
    /// The crons of one server type; none when there is no such file, or no section for the environment in it.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, the record and the key.
    package static func crons(of type: ServerType, in configuration: Configuration) throws -> [Cron] {
        guard let part = try configuration.sectionIfAny("crons") else { return [] }
        let file = part.path
        guard let types = part.value.object else { throw PomeloError(.configuration, "\(file) must hold an object") }
        for (key, value) in types where value.array == nil {
            throw PomeloError(.configuration, "\(file): \(key) must hold a list of crons")
        }
        var crons: [Cron] = []
        for (index, entry) in (types[type.rawValue]?.array ?? []).enumerated() {
            let place = "\(file): \(type)[\(index)]"
            let cron = try cron(entry, place)
            guard !crons.contains(where: { $0.id == cron.id }) else {
                throw PomeloError(.configuration, "\(place): the id \(cron.id) is used twice")
            }
            let isThere = configuration.servers.contains { $0.id == cron.server && $0.type == type }
            if let server = cron.server, !isThere {
                throw PomeloError(.configuration, "\(place): serverId \(server) is no server of type \(type)")
            }
            crons.append(cron)
        }
        return crons
    }

    private static func cron(_ entry: JSON, _ place: String) throws -> Cron {
        guard let object = entry.object else { throw PomeloError(.configuration, "\(place) must be an object") }
        var reader = try OptionReader(entry, file: place)
        guard let id = object["id"]?.int.map({ String($0) }) ?? object["id"]?.string else {
            throw PomeloError(.configuration, "\(place): id must be a whole number or a text")
        }
        guard let action = try reader.string("action") else {
            throw PomeloError(.configuration, "\(place): action is missing")
        }
        let server = try reader.string("serverId").map { ServerID($0) }
        let isSingleton = try reader.bool("singleton") ?? false
        guard let time = object["time"] else { throw PomeloError(.configuration, "\(place): time is missing") }
        for key in reader.rest.keys where key != "id" && key != "time" {
            throw PomeloError(.configuration, "\(place): unknown key \(key)")
        }
        do {
            return try Cron(CronID(id), self.time(time, place), action, server: server, isSingleton: isSingleton)
        } catch let error as PomeloError where !error.message.hasPrefix(place) {
            throw PomeloError(.configuration, "\(place) (id \(id)): \(error.message)")
        }
    }

    private static func time(_ value: JSON, _ place: String) throws -> Cron.Time {
        if let text = value.string {
            do {
                return .schedule(try CronSchedule(text))
            } catch {
                throw PomeloError(.configuration, "time: \(error.message)")
            }
        }
        guard value.object != nil else {
            throw PomeloError(.configuration, "time must be a cron text, or an object with start, period and count")
        }
        var reader = try OptionReader(value, file: "\(place): time")
        let start = try reader.int("start", in: 0...Int.max)
        let period = try reader.int("period")
        let count = try reader.int("count")
        try reader.finish()
        return .simple(start: start.map { Int64($0) }, period: period.map { .milliseconds($0) }, count: count)
    }
}

// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloExtensions

/// Who takes part at a point, and where it is asked.
struct PluginImplementation: Hashable, Sendable {
    let id: PluginID
    let path: String
    let priority: Int
}

/// All that the registry has, at one epoch.
struct PluginView: Sendable {
    /// Grows with each change.
    let epoch: UInt64
    let records: [PluginID: PluginRecord]
    let keys: [PluginKey]
    /// When keys were made that another secret has sealed, by their names.
    let foreignKeys: [Text: Int64]
    let leases: [PluginLease]
    private let implementations: [Point: [PluginImplementation]]
    private let bySecret: [Text: PluginID]

    private struct Point: Hashable {
        let owner: PluginID
        let name: PointName
    }

    static let empty = PluginView(epoch: 0, records: [:], keys: [], leases: [])

    init(
        epoch: UInt64, records: [PluginID: PluginRecord], keys: [PluginKey], foreignKeys: [Text: Int64] = [:],
        leases: [PluginLease]
    ) {
        self.foreignKeys = foreignKeys
        self.epoch = epoch
        self.records = records
        self.keys = keys.sorted { ($0.madeAt, $0.id) < ($1.madeAt, $1.id) }
        self.leases = leases
        var implementations: [Point: [PluginImplementation]] = [:]
        for record in records.values where record.trial == nil {
            for binding in record.identity.bindings where !record.suspended.contains(binding.owner) {
                for endpoint in binding.endpoints {
                    implementations[Point(owner: binding.owner, name: endpoint.point), default: []].append(
                        PluginImplementation(id: record.id, path: endpoint.path, priority: endpoint.priority))
                }
            }
        }
        self.implementations = implementations.mapValues { list in
            list.sorted { ($0.priority, $0.id) < ($1.priority, $1.id) }
        }
        bySecret = Dictionary(
            records.values.filter { $0.trial == nil }.map { (Text($0.secretHash), $0.id) },
            uniquingKeysWith: { a, _ in a })
    }

    /// A plugin whose registration is complete.
    func plugin(_ id: PluginID) -> PluginRecord? { records[id].flatMap { $0.trial == nil ? $0 : nil } }

    /// In the order in which they are asked.
    func implementers(of owner: PluginID, _ point: PointName) -> [PluginImplementation] {
        implementations[Point(owner: owner, name: point)] ?? []
    }

    /// A point of the platform's or a plugin's own; nil when nobody has declared it.
    func point(_ name: PointName, of owner: PluginID) -> PluginPoint? {
        let points = PlatformOwner(rawValue: owner.rawValue)?.points ?? plugin(owner)?.identity.points ?? []
        return points.first { $0.name == name }
    }

    /// Whose secret that is.
    func owner(ofSecret secret: String) -> PluginID? { bySecret[Text(PluginRecord.hash(secret))] }

    /// Where a plugin is: what it was registered with, and further addresses whose leases have not ended.
    func addresses(of record: PluginRecord, at now: Int64) -> [String] {
        let further = leases.filter { $0.id == record.id && $0.until > now }.map(\.address)
        return record.addresses + further.filter { !record.addresses.contains($0) }
    }

    /// Plugins that implement a plugin's points.
    func dependents(of owner: PluginID) -> [PluginID] {
        records.values.filter { $0.trial == nil && $0.identity.bindings.contains { $0.owner == owner } }
            .map(\.id).sorted()
    }
}

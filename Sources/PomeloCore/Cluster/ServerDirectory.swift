// SPDX-License-Identifier: MIT
public import PomeloLoop

/// A change of the cluster's view.
public enum ServerChange: Sendable {
    /// Became routable.
    case added([ServerRecord])
    /// Left, or is gone; carries ids, as pomelo's `remove_servers` does.
    case removed([ServerID])
    /// The whole view, after it could not be followed step by step.
    case replaced([ServerRecord])
}

/// The servers this process knows, their instances and states.
///
/// Written by cluster membership, or by hand where there is none; read by routing, RPC and channels.
@Loop public final class ServerDirectory {
    /// What pushes and calls ask for each time, made when it is first asked for; a change forgets it.
    private struct Views {
        struct Key: Hashable {
            let type: ServerType?
            let service: String?
        }

        var all: [ServerInfo]?
        var frontends: [ServerInfo]?
        var frontendIDs: [Key: [ServerID]] = [:]
        /// By type, all at once: clients name types, and one that nobody has must cost nothing and be kept nowhere.
        var up: [ServerType: [ServerInfo]]?
        var answering: [ServerType: [ServerInfo]]?
    }

    private var servers: [ServerID: ServerInfo] = [:]
    private var suspects: Set<ServerID> = []
    private var views = Views()
    private var observers: [@Loop (ServerChange) -> Void] = []
    /// Grows with every change of the view or of a suspicion.
    public private(set) var version = 0

    /// A view without servers.
    public init() {}

    /// Everyone in the view, in any state, sorted by id.
    public var all: [ServerInfo] {
        if let known = views.all { return known }
        let list = servers.values.sorted { $0.id < $1.id }
        views.all = list
        return list
    }

    /// One server of the view.
    public subscript(_ id: ServerID) -> ServerInfo? { servers[id] }

    /// The servers of a type that are up, sorted by id: the same order in every process.
    public func up(_ type: ServerType) -> [ServerInfo] {
        if let known = views.up { return known[type] ?? [] }
        let byType = Dictionary(grouping: all.filter { $0.state == .up }, by: \.type)
        views.up = byType
        return byType[type] ?? []
    }

    /// The servers of a type that are up and answer, as far as this process knows; sorted by id.
    public func answering(_ type: ServerType) -> [ServerInfo] {
        if suspects.isEmpty { return up(type) }
        if let known = views.answering { return known[type] ?? [] }
        let byType = Dictionary(grouping: all.filter { $0.state == .up && !suspects.contains($0.id) }, by: \.type)
        views.answering = byType
        return byType[type] ?? []
    }

    /// Those that answer; all that are up when nobody does, for the suspicion may be ours alone.
    public func choices(_ type: ServerType) -> [ServerInfo] {
        let answering = answering(type)
        return answering.isEmpty ? up(type) : answering
    }

    /// The frontends, whatever their state, sorted by id: clients may come to one that the others do not know to be up
    /// yet, and are still at one that is draining.
    public var frontends: [ServerInfo] {
        if let known = views.frontends { return known }
        let list = all.filter(\.record.isFrontend)
        views.frontends = list
        return list
    }

    /// The ids of the frontends, of all types or of one, that have a service, or any; sorted.
    public func frontendIDs(_ type: ServerType? = nil, with service: String? = nil) -> [ServerID] {
        let key = Views.Key(type: type, service: service)
        if let known = views.frontendIDs[key] { return known }
        let list = frontends.filter { info in
            (type == nil || info.type == type) && service.map(info.mayServe) ?? true
        }.map(\.id)
        if !list.isEmpty { views.frontendIDs[key] = list }
        return list
    }

    /// Whether a server has stopped answering; a local opinion.
    public func isSuspect(_ id: ServerID) -> Bool { suspects.contains(id) }

    /// Notes whether a server answers; called by the RPC transport.
    public func setSuspect(_ id: ServerID, _ suspect: Bool) {
        let changed = suspect ? suspects.insert(id).inserted : suspects.remove(id) != nil
        guard changed else { return }
        views.answering = nil
        version += 1
    }

    /// Calls back after each change, in the turn it happens; for the life of the directory.
    public func observe(_ observer: @escaping @Loop (ServerChange) -> Void) { observers.append(observer) }

    /// Adds servers or updates known ones; announces those that became routable or changed instance.
    public func add(_ infos: [ServerInfo]) {
        var added: [ServerRecord] = []
        for info in infos {
            let known = servers[info.id]
            if known == info { continue }
            if info.state == .up, known?.state != .up || known?.instance != info.instance { added.append(info.record) }
            if known?.instance != info.instance { suspects.remove(info.id) }
            servers[info.id] = info
        }
        changed()
        if !added.isEmpty { announce(.added(added)) }
    }

    /// Removes servers; unknown ids are ignored.
    public func remove(_ ids: [ServerID]) {
        let gone = ids.filter { servers.removeValue(forKey: $0) != nil }
        suspects.subtract(gone)
        changed()
        if !gone.isEmpty { announce(.removed(gone)) }
    }

    /// Takes a whole view; the difference is announced as removals and additions, then as a replacement.
    public func replace(_ infos: [ServerInfo]) {
        let ids = Set(infos.map(\.id))
        remove(servers.keys.filter { !ids.contains($0) }.sorted())
        add(infos)
        announce(.replaced(infos.map(\.record)))
    }

    private func changed() {
        views = Views()
        version += 1
    }

    private func announce(_ change: ServerChange) {
        for observer in observers { observer(change) }
    }
}

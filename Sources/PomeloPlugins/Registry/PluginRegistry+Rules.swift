// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloExtensions

extension PluginRegistry {
    /// The platform's own version, against which a plugin's `tkeel_version` is held.
    nonisolated static let platform = PluginVersion(1, 0)

    /// Whether a plugin may be there; one of the same id that it replaces comes back.
    ///
    /// - Throws: `PluginAnswer` 400 for what it says, 409 for what others are.
    func check(
        _ record: PluginRecord, _ view: PluginView, replaces: Bool
    ) throws(PluginAnswer) -> PluginRecord? {
        let present = view.records[record.id]
        let isOurs = present?.registration == record.registration
        if let present, !isOurs {
            if let trial = present.trial {
                guard trial.until <= follower.now else {
                    throw PluginAnswer(409, "\(record.id) is being registered already")
                }
            } else if !replaces {
                throw PluginAnswer(409, "\(record.id) has been registered; \"replace\": true takes its place")
            }
        }
        if present == nil, view.records.count >= maxPlugins {
            throw PluginAnswer(507, "there are \(maxPlugins) plugins already")
        }
        guard !record.id.rawValue.hasSuffix("." + namespace) else {
            throw PluginAnswer(400, "\(record.id) ends with the namespace, and nobody could call it")
        }
        if let made = record.identity.platform, made > Self.platform {
            throw PluginAnswer(400, "\(record.id) is for the platform \(made), this is \(Self.platform)")
        }
        // Whoever had that place would admit everybody by not asking.
        let checks = record.identity.bindings.contains { binding in
            binding.owner == PlatformOwner.keel.id
                && binding.endpoints.contains { $0.point == PlatformOwner.routeCheck }
        }
        guard checks == (record.id == PlatformOwner.checker) else {
            throw PluginAnswer(
                409, "\(PlatformOwner.routeCheck) is for \(PlatformOwner.checker), and that id for who implements it")
        }
        for binding in record.identity.bindings { try check(binding, of: record, view) }
        return isOurs || present?.trial != nil ? nil : present
    }

    private func check(
        _ binding: PluginBinding, of record: PluginRecord, _ view: PluginView
    ) throws(PluginAnswer) {
        let version: PluginVersion
        if PlatformOwner(rawValue: binding.owner.rawValue) != nil {
            version = PlatformOwner.version
        } else {
            guard let owner = view.plugin(binding.owner) else {
                throw PluginAnswer(409, "\(binding.owner), which it extends, is not registered")
            }
            version = owner.identity.version
            if let asked = owner.identity.platform, let made = record.identity.platform, asked > made {
                throw PluginAnswer(409, "\(binding.owner) is for the platform \(asked), \(record.id) for \(made)")
            }
        }
        if let declared = binding.version, !version.serves(declared) {
            throw PluginAnswer(409, "\(binding.owner) has the version \(version), which does not serve \(declared)")
        }
        for endpoint in binding.endpoints {
            guard let point = view.point(endpoint.point, of: binding.owner) else {
                throw PluginAnswer(409, "\(binding.owner) has no point \(endpoint.point.text.forLog)")
            }
            let others = view.implementers(of: binding.owner, endpoint.point).filter { $0.id != record.id }
            if point.mode == .single, let other = others.first {
                throw PluginAnswer(
                    409, "\(point.name.text) of \(binding.owner) is for one alone, and \(other.id) has it")
            }
        }
    }

    /// Bindings to a plugin that is another one now: those that do not fit are suspended, those that do again count.
    static func rebound(to owner: PluginRecord, _ view: PluginView) -> [PluginChange] {
        view.dependents(of: owner.id).compactMap { id in
            guard var dependent = view.records[id], id != owner.id,
                let binding = dependent.identity.bindings.first(where: { $0.owner == owner.id })
            else { return nil }
            let isServed = binding.version.map(owner.identity.version.serves) ?? true
            let points = Set(owner.identity.points.map(\.name))
            let fits = isServed && binding.endpoints.allSatisfy { points.contains($0.point) }
            guard fits == dependent.suspended.contains(owner.id) else { return nil }
            if fits { dependent.suspended.remove(owner.id) } else { dependent.suspended.insert(owner.id) }
            return .put(dependent)
        }
    }

    /// What is left of registrations whose time is over, and of addresses that nobody holds.
    static func leftovers(_ view: PluginView, at now: Int64) -> [PluginChange] {
        view.records.values.filter { $0.trial.map { $0.until <= now } ?? false }.map { .remove($0.id) }
            + view.leases.filter { $0.until <= now || view.plugin($0.id) == nil }.map { .removeLease($0) }
    }
}

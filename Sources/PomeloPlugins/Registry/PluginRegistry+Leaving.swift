// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop

extension PluginRegistry {
    /// Calls that are under way may end for so long.
    private static let drain = Duration.seconds(10)
    /// Every process knows by then that a plugin is stopping.
    private static let spread = Duration.seconds(1)

    /// Lets a plugin go: no new calls, those under way in this process end, then it is gone with what it implements.
    ///
    /// By force also when others extend it; what they implement of it does not count from then on.
    ///
    /// - Throws: `PluginAnswer` 404, 409 when others extend it, 503 when Redis does not do it.
    func unregister(
        _ id: PluginID, isForced: Bool, inFlight: @Loop (PluginID) -> Int
    ) async throws(PluginAnswer) {
        var registration = ""
        try await follower.change { (view) throws(PluginAnswer) in
            guard var record = view.plugin(id) else { throw PluginAnswer(404, "plugin not registered") }
            let dependents = view.dependents(of: id)
            guard isForced || dependents.isEmpty else {
                let names = dependents.map(\.rawValue).joined(separator: ", ")
                throw PluginAnswer(409, "\(names) extends it; \"force\": true removes it all the same")
            }
            (record.status, record.reason) = (.stopping, Self.leaving)
            registration = record.registration
            return [.put(record)]
        }
        await clock.sleep(for: Self.spread)
        let end = clock.deadline(after: Self.drain)
        while inFlight(id) > 0, clock.now < end { await clock.sleep(for: .milliseconds(50)) }
        try await finish(id, registration)
    }

    /// Removes a plugin that is leaving, unless somebody has registered it anew meanwhile.
    func finish(_ id: PluginID, _ registration: String) async throws(PluginAnswer) {
        var isGone = false
        try await follower.change { (view) throws(PluginAnswer) in
            isGone = view.records[id]?.registration == registration
            guard isGone else { return [] }
            return [.remove(id)] + view.leases.filter { $0.id == id }.map { .removeLease($0) }
        }
        guard isGone else { return }
        await onGone?(id)
        log.notice("a plugin is removed", metadata: ["plugin": "\(id)"])
    }

    /// The reason of a plugin that is being unregistered: probes leave it alone.
    static let leaving = "being unregistered"
    /// Who began to unregister it is done by then, or has died.
    static let leavingTime = Duration.seconds(30)

    /// Adds an address of a plugin for a time, or renews it; a time of nothing removes it.
    func lease(_ id: PluginID, _ address: PluginAddress, for time: Duration) async throws(PluginAnswer) {
        try await follower.change { (view) throws(PluginAnswer) in
            guard view.plugin(id) != nil else { throw PluginAnswer(404, "plugin not registered") }
            let present = view.leases.filter { $0.id == id }
            let lease = PluginLease(
                id: id, address: address.text, until: self.follower.now &+ time.clampedMilliseconds)
            if time <= .zero { return [.removeLease(lease)] }
            guard present.contains(where: { $0.address == address.text }) || present.count < Self.maxLeases else {
                throw PluginAnswer(507, "\(id) has \(Self.maxLeases) further addresses already")
            }
            return [.putLease(lease)]
        }
    }

    private static let maxLeases = 64
}

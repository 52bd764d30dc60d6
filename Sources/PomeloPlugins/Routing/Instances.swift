// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// Calls to each address of each plugin: how many are under way, and whether it is worth another try.
///
/// A circuit opens for 5 s when 5 calls have failed within 10 s, and then lets one through at a time until it answers.
/// It is this process's own opinion: a way that is cut for one process says nothing about the plugin.
///
/// - Source: "the power of two choices", M. Mitzenmacher, 1996; the circuit: M. Nygard, "Release It!", 2007.
@Loop final class Instances {
    private static let failures = 5
    private static let window = Duration.seconds(10)
    private static let openFor = Duration.seconds(5)

    private struct Address {
        var inFlight = 0
        /// When the last calls failed.
        var failed: [UInt64] = []
        var openUntil: UInt64 = 0
        var isTrying = false
    }

    private let clock: any LoopClock
    private let random: RandomSource
    private var addresses: [Place: Address] = [:]

    struct Place: Hashable {
        let plugin: PluginID
        let address: String
    }

    init(_ clock: any LoopClock, _ random: RandomSource) {
        self.clock = clock
        self.random = random
    }

    /// Calls of a plugin that are under way.
    func inFlight(_ id: PluginID) -> Int {
        addresses.lazy.filter { $0.key.plugin == id }.map(\.value.inFlight).reduce(0, +)
    }

    /// The one of two with less under way, among those whose circuit is closed; nil when there is none.
    ///
    /// It counts as under way until `ended` is called, once.
    func choose(_ id: PluginID, among candidates: [String]) -> Place? {
        let places = candidates.map { Place(plugin: id, address: $0) }.filter(isClosed)
        guard var best = places.first else { return nil }
        if places.count > 1 {
            let first = Int(random.next() % UInt64(places.count))
            let second = (first + 1 + Int(random.next() % UInt64(places.count - 1))) % places.count
            best = load(places[second]) < load(places[first]) ? places[second] : places[first]
        }
        var address = addresses[best] ?? Address()
        address.inFlight += 1
        if address.openUntil != 0 { address.isTrying = true }
        addresses[best] = address
        return best
    }

    /// Notes how a call ended; nil: its caller went away, which says nothing.
    func ended(_ place: Place, isGood: Bool?) {
        guard var address = addresses[place] else { return }
        address.inFlight = max(0, address.inFlight - 1)
        address.isTrying = false
        switch isGood {
        case true?: (address.failed, address.openUntil) = ([], 0)
        case false?:
            let now = clock.now
            address.failed = address.failed.filter { $0 &+ Self.window.clampedNanoseconds > now } + [now]
            if address.openUntil != 0 || address.failed.count >= Self.failures {
                address.openUntil = now &+ Self.openFor.clampedNanoseconds
                address.failed = []
            }
        case nil: break
        }
        let isForgotten = address.inFlight == 0 && address.failed.isEmpty && address.openUntil == 0
        addresses[place] = isForgotten ? nil : address
    }

    /// Forgets addresses that nobody has any more.
    func keep(_ isThere: (Place) -> Bool) {
        addresses = addresses.filter { $0.value.inFlight > 0 || isThere($0.key) }
    }

    private func load(_ place: Place) -> Int { addresses[place]?.inFlight ?? 0 }

    private func isClosed(_ place: Place) -> Bool {
        guard let address = addresses[place], address.openUntil != 0 else { return true }
        return clock.now >= address.openUntil && !address.isTrying
    }
}

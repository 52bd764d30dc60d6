// SPDX-License-Identifier: MIT
import Foundation
public import PomeloContract

/// The time zone crons are read in.
public struct CronZone: Sendable, CustomStringConvertible {
    private let zone: TimeZone

    /// The zone of the system, as it was when the process started.
    public static let system = CronZone(zone: .current)

    /// A zone by its name, such as `Europe/Berlin` or `UTC`.
    ///
    /// - Throws: `PomeloError` `.configuration` when there is no such zone.
    public init(_ name: String) throws(PomeloError) {
        guard let zone = TimeZone(identifier: name) else {
            throw PomeloError(.configuration, "there is no time zone \(name)")
        }
        self.zone = zone
    }

    private init(zone: TimeZone) { self.zone = zone }

    /// The zone's name.
    public var description: String { zone.identifier }

    /// What the wall clock shows more than UTC at an instant, in seconds.
    func offset(at unixSeconds: Int) -> Int {
        zone.secondsFromGMT(for: Date(timeIntervalSince1970: TimeInterval(unixSeconds)))
    }

    func local(_ unixSeconds: Int) -> Int { unixSeconds + offset(at: unixSeconds) }

    /// The first instant at which the wall clock shows a time; the end of the gap when clocks skip it.
    func instant(ofLocal local: Int) -> Int {
        // No zone is a day away from UTC, nor changes its clocks twice in two days.
        let before = offset(at: local - 86_400)
        let after = offset(at: local + 86_400)
        let early = local - before
        if offset(at: early) == before { return early }
        let late = local - after
        if offset(at: late) == after { return late }
        return change(after: late, notAfter: early) ?? early
    }

    /// The first instant in a short span at which another offset holds than at its begin, or nil.
    func change(after begin: Int, notAfter end: Int) -> Int? {
        let offset = offset(at: begin)
        guard begin < end, self.offset(at: end) != offset else { return nil }
        var (before, changed) = (begin, end)
        while changed - before > 1 {
            let middle = before + (changed - before) / 2
            if self.offset(at: middle) == offset { before = middle } else { changed = middle }
        }
        return changed
    }
}

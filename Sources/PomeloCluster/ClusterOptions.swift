// SPDX-License-Identifier: MIT
public import PomeloCore

/// The times of membership; the keys of `cluster.json` are these names with `Seconds` behind.
///
/// All servers of a cluster must have the same `lease`.
public struct ClusterOptions: Sendable, Equatable {
    /// A server that has not renewed for so long, and does not answer its peers either, is gone.
    public var lease = Duration.seconds(10)
    /// How often the lease is renewed, up to 10 % sooner.
    public var renewEvery = Duration.seconds(3)
    /// How often each server looks for changes and for leases that have ended, up to 10 % sooner.
    public var scanEvery = Duration.milliseconds(500)
    /// How often the whole registry is read again, up to 10 % sooner.
    public var reloadEvery = Duration.seconds(30)
    /// How long a clean-up is protected after its last sign of life.
    public var reapToken = Duration.seconds(2)
    /// How long a server whose lease has ended has to answer a ping.
    public var pingDeadline = Duration.milliseconds(500)

    /// The defaults.
    public init() {}
}

extension ClusterOptions: FileOptions {
    /// `cluster.json`.
    public static var fileName: String { "cluster" }

    /// Reads the keys, all of them optional.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key: not a number of seconds, or a lease
    ///   shorter than two renewals.
    public mutating func read(_ reader: inout OptionReader) throws {
        lease = try reader.seconds("leaseSeconds") ?? lease
        renewEvery = try reader.seconds("renewEverySeconds") ?? renewEvery
        scanEvery = try reader.seconds("scanEverySeconds") ?? scanEvery
        reloadEvery = try reader.seconds("reloadEverySeconds") ?? reloadEvery
        reapToken = try reader.seconds("reapTokenSeconds") ?? reapToken
        pingDeadline = try reader.seconds("pingDeadlineSeconds") ?? pingDeadline
        guard lease >= renewEvery * 2 else {
            throw reader.misfit("leaseSeconds must be at least twice renewEverySeconds")
        }
    }
}

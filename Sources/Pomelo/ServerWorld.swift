// SPDX-License-Identifier: MIT
public import Foundation
public import PomeloUV

extension World {
    /// The real world: system clock and randomness, the kernel's TCP, RPC over it.
    public static func system(network: UVNetwork = UVNetwork(), rpc: RPCOptions = RPCOptions()) -> World {
        World(
            clock: SystemClock.shared, random: RandomSource(), network: network,
            transport: TCPTransport(options: rpc))
    }
}

/// What a server process takes from its environment variables.
public struct ServerEnvironment: Sendable {
    /// `POMELO_SECRET`: shared by the servers of a cluster.
    public let secret: Bytes
    /// `POMELO_HOSTS`: `name=address,…`, answered before the system's resolver is asked.
    public let hosts: [String: String]
    /// `POMELO_BIND`: the address of the client port, in place of the one in `servers.json`.
    public let bind: String?

    /// Reads the variables; one that is empty counts as absent.
    ///
    /// - Throws: `PomeloError` `.configuration` naming a variable that is malformed, and never its value.
    public init(_ variables: [String: String] = ProcessInfo.processInfo.environment) throws {
        secret = Bytes((variables["POMELO_SECRET"] ?? "").utf8)
        let address = variables["POMELO_BIND"].flatMap { $0.isEmpty ? nil : $0 }
        bind = address.flatMap(SocketAddress.host)
        guard address == nil || bind != nil else {
            throw PomeloError(.configuration, "POMELO_BIND must be a host name or address, without a port")
        }
        var hosts: [String: String] = [:]
        for pair in (variables["POMELO_HOSTS"] ?? "").split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.count == 2, let address = SocketAddress.host(parts[1]) else {
                throw PomeloError(.configuration, "POMELO_HOSTS must be name=address,…, without ports")
            }
            hosts[parts[0]] = address
        }
        self.hosts = hosts
    }
}

extension Application {
    /// Makes the application of one server, in the real world, with what `rpc.json` and `limits.json` say.
    ///
    /// - Throws: `PomeloError` `.configuration` when the configuration has no server of that id, or a file is wrong.
    public convenience init(
        _ configuration: Configuration, id: ServerID, environment: ServerEnvironment, network: UVNetwork
    ) throws {
        network.resolver.hosts = environment.hosts
        let bound = environment.bind.map { configuration.binding(id, to: $0) } ?? configuration
        try self.init(bound, id: id, world: .system(network: network, rpc: bound.options(RPCOptions())))
        limits = try bound.options(Limits())
        secret = environment.secret
        if environment.bind != nil { bindKey = "POMELO_BIND" }
    }
}

// SPDX-License-Identifier: MIT
//
// Calls: two servers of one process call each other over real sockets, sealed and in the open, and what a call costs
// both of them together. Not a part of `./dev bench`: run `swift run -c release Calls` in this folder.
import Glibc
import Pomelo
import PomeloUV

/// Prints the CPU of a call of 200 bytes and of 64 KiB, plain and sealed.
@main struct Calls {
    static func main() async throws {
        try await Loop.run {
            for (size, count) in [(200, 200_000), (65_536, 8000)] {
                for seal in [Seal.offLoopback, .always] {
                    let each = try await measure(size, count, seal)
                    let perSecond = Int(1_000_000_000 / each)
                    Console.line("\(size) bytes, \(seal): \(Int(each)) ns a call, \(perSecond) calls per CPU-second")
                }
            }
        }
    }

    /// Calls under way at a time.
    private static let window = 32

    @Loop private static func measure(_ size: Int, _ count: Int, _ seal: Seal) async throws -> Double {
        var options = RPCOptions()
        options.seal = seal
        let network = UVNetwork()
        let directories = [ServerDirectory(), ServerDirectory()]
        let transports = [TCPTransport(options: options), TCPTransport(options: options)]
        var infos: [ServerInfo] = []
        for (index, transport) in transports.enumerated() {
            let procedures = ProcedureTable()
            procedures.immediate(Procedure(remote: "echo")) { _, payload in payload }
            let record = ServerRecord(id: ServerID("s\(index)"), type: "test", port: 0)
            var info = ServerInfo(record: record, instance: InstanceID("i\(index)"), state: .up)
            try await transport.start(
                RPCContext(
                    network: network, clock: SystemClock.shared, random: RandomSource(), cluster: "bench",
                    secret: Bytes("of the benchmark".utf8), own: info, servers: directories[index],
                    procedures: procedures))
            info.record.port = transport.localAddress?.port ?? 0
            infos.append(info)
        }
        for directory in directories { directory.add(infos) }
        let payload = Bytes(repeating: 7, count: size)
        try await call(transports[0], payload, count / 10)
        let start = clock()
        try await call(transports[0], payload, count)
        let nanoseconds = Double(clock() - start) * 1000 / Double(count)
        for transport in transports { await transport.stop(within: .seconds(1)) }
        return nanoseconds
    }

    @Loop private static func call(_ transport: TCPTransport, _ payload: Bytes, _ count: Int) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<window {
                group.addTask { @Loop @Sendable in
                    for _ in 0..<count / window {
                        _ = try await transport.call("s1", Procedure(remote: "echo"), payload, within: .seconds(10))
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}

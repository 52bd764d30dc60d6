// SPDX-License-Identifier: MIT
import PomeloLibc
package import PomeloLoop
import PomeloUV

/// Ports of 127.0.0.1 for the servers that tests start, no other process's tests among them.
///
/// They lie below the kernel's own range: a port of that one may become somebody's outgoing one between kill and
/// restart. A process takes them in blocks, each with a lock that is free when the process is gone, so that test
/// programs may run side by side.
@Loop package enum TestPorts {
    private static let block = 400
    private static let blocks = 30
    private static let first = 20_000
    private static var locks: [Int: FileLock] = [:]
    private static var rest: Range<Int> = 0..<0
    /// Not where the process before began, whose clients may still try to connect.
    private static var turn = Int(getpid())

    /// A port that nobody listens on.
    ///
    /// - Throws: when there is none.
    package static func next() async throws(NetworkError) -> Int {
        for _ in 0..<(block * blocks) {
            if rest.isEmpty { rest = claim() }
            guard let port = rest.popFirst() else { break }
            if await isFree(port) { return port }
        }
        throw NetworkError(code: "EADDRINUSE", description: "no free port below \(first + block * blocks)")
    }

    /// A block of nobody's; when there is none left, the next of our own again.
    private static func claim() -> Range<Int> {
        for isOurs in [false, true] {
            for _ in 0..<blocks {
                turn &+= 1
                let start = first + turn % blocks * block
                if isOurs ? locks[start] != nil : locked(start) { return start..<(start + block) }
            }
        }
        return 0..<0
    }

    private static func locked(_ start: Int) -> Bool {
        guard locks[start] == nil else { return false }
        do throws(NetworkError) {
            locks[start] = try FileLock("/tmp/pomelo-test-ports-\(start)")
        } catch {
            // Another user's.
            return false
        }
        return locks[start] != nil
    }

    private static func isFree(_ port: Int) async -> Bool {
        do throws(NetworkError) {
            try await UVNetwork().listen(on: SocketAddress(host: "127.0.0.1", port: port)) { $0.close() }.close()
            return true
        } catch {
            return false
        }
    }
}

// SPDX-License-Identifier: MIT
import PomeloLibc

/// Who listens at a TCP port of this machine, as far as this process may see it: for the words of an error.
///
/// - Source: proc(5): `/proc/net/tcp` has address and state of each socket and its inode, `/proc/<pid>/fd` links to
///   inodes.
enum PortHolder {
    private static let listening = "0A"
    private static let longestFile = 1 << 20

    /// `process 4711 (redis-server)`; nil when the system does not say, or not to this user.
    static func name(of port: Int) -> String? {
        let inodes = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { self.inodes(in: read($0), listeningAt: port) }
        guard !inodes.isEmpty else { return nil }
        let links = Set(inodes.map { "socket:[\($0)]" })
        for process in entries(of: "/proc") where Int(process) != nil {
            let folder = "/proc/\(process)/fd"
            let isHolder = entries(of: folder).contains { links.contains(target(of: "\(folder)/\($0)")) }
            guard isHolder else { continue }
            let command = read("/proc/\(process)/comm").split(separator: "\n").first ?? "?"
            let isTwin =
                process != "\(getpid())" && arguments(of: process) == arguments(of: "self")
                && target(of: "/proc/\(process)/exe") == target(of: "/proc/self/exe")
            return "process \(process) (\(command))\(isTwin ? ", which the same command started: it runs already" : "")"
        }
        return nil
    }

    /// Of a table of sockets: `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode …`.
    static func inodes(in table: String, listeningAt port: Int) -> [String] {
        table.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count > 9, words[3] == listening else { return nil }
            guard let hex = words[1].split(separator: ":").last, Int(hex, radix: 16) == port else { return nil }
            return String(words[9])
        }
    }

    /// The words behind a program's name.
    private static func arguments(of process: String) -> [Substring] {
        Array(read("/proc/\(process)/cmdline").split(separator: "\0").dropFirst())
    }

    private static func read(_ path: String) -> String {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { PomeloLibc.close(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < longestFile {
            let count = unsafe piece.withUnsafeMutableBytes { unsafe PomeloLibc.read(file, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            bytes += piece.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func entries(of folder: String) -> [String] {
        guard let stream = unsafe opendir(folder) else { return [] }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    private static func target(of link: String) -> String {
        var text = [UInt8](repeating: 0, count: 64)
        let count = unsafe text.withUnsafeMutableBytes { buffer in
            guard let place = unsafe buffer.baseAddress?.assumingMemoryBound(to: CChar.self) else { return -1 }
            return unsafe readlink(link, place, buffer.count)
        }
        return String(decoding: text.prefix(max(0, count)), as: UTF8.self)
    }
}

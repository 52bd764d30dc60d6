// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLibc
public import PomeloLoop

/// What a process knows of itself and of the machine it is on.
public enum ThisProcess {
    /// The path of the program that runs; nil when the system does not say.
    public static var executable: String? {
        var path = [CChar](repeating: 0, count: 4096)
        var size = path.count
        guard unsafe uv_exepath(&path, &size) == 0 else { return nil }
        return String(decoding: path.prefix(size).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The addresses of this machine's interfaces, as text; empty when the system does not say.
    public static var addresses: Set<String> {
        var list: UnsafeMutablePointer<uv_interface_address_t>?
        var count: Int32 = 0
        guard unsafe uv_interface_addresses(&list, &count) == 0, let list = unsafe list else { return [] }
        defer { unsafe uv_free_interface_addresses(list, count) }
        var result: Set<String> = []
        for index in 0..<Int(count) {
            unsafe withUnsafePointer(to: &list[index].address) { address in
                unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = result.insert(unsafe SocketAddress($0).host)
                }
            }
        }
        return result
    }

    /// A further descriptor of what standard output is now.
    ///
    /// - Throws: `NetworkError` when there is none, or no room for it.
    public static func copyOfOutput() throws(NetworkError) -> Int32 {
        let copy = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw NetworkError(status: -errno, "cannot go on writing to the terminal") }
        return copy
    }

    /// Lets standard output and error go to the end of a file from now on.
    ///
    /// - Throws: `NetworkError` naming the file that cannot be written to; nothing is changed then.
    public static func moveOutput(to path: String) throws(NetworkError) {
        let file = unsafe open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw NetworkError(status: -errno, "cannot write to \(path)") }
        defer { close(file) }
        guard dup2(file, STDOUT_FILENO) >= 0, dup2(file, STDERR_FILENO) >= 0 else {
            throw NetworkError(status: -errno, "cannot write to \(path)")
        }
    }
}

extension ThisProcess {
    /// What it has in memory, in bytes.
    public static var residentBytes: Int {
        var size = 0
        return unsafe uv_resident_set_memory(&size) == 0 ? size : 0
    }

    /// What it has used of processors since its start.
    public static var processorTime: Duration {
        var usage = uv_rusage_t()
        guard unsafe uv_getrusage(&usage) == 0 else { return .zero }
        let times = [usage.ru_utime, usage.ru_stime]
        return times.reduce(.zero) { $0 + .seconds(Int64($1.tv_sec)) + .microseconds(Int64($1.tv_usec)) }
    }
}

extension ThisProcess {
    /// Takes a variable out of the environment, so that no child has it; before anything else runs.
    public static func forgetVariable(_ name: String) { _ = unsafe uv_os_unsetenv(name) }

    /// The next line of standard input, or as much of it as is asked for; nil at the end.
    ///
    /// Blocks, and belongs off the loop.
    public static func nextLine(atMost count: Int) -> (text: String, isWhole: Bool)? {
        var bytes: [UInt8] = []
        var isWhole = true
        var byte: UInt8 = 0
        while unsafe read(STDIN_FILENO, &byte, 1) == 1 {
            if byte == UInt8(ascii: "\n") { return (String(decoding: bytes, as: UTF8.self), isWhole) }
            if bytes.count < count { bytes.append(byte) } else { isWhole = false }
        }
        return bytes.isEmpty ? nil : (String(decoding: bytes, as: UTF8.self), isWhole)
    }

    /// A line that is typed at the terminal and not shown; nil when there is no terminal.
    public static func askedPassword(_ prompt: String) -> String? {
        let terminal = unsafe open("/dev/tty", O_RDWR | O_CLOEXEC)
        guard terminal >= 0 else { return nil }
        close(terminal)
        guard let text = unsafe getpass(prompt) else { return nil }
        defer { unsafe memset(text, 0, strlen(text)) }
        return unsafe String(cString: text)
    }
}

extension ThisProcess {
    /// Becomes another program, in this process; returns only when it cannot.
    ///
    /// - Throws: `NetworkError` naming the program.
    public static func become(_ path: String, _ arguments: [String]) throws(NetworkError) -> Never {
        let words = [path] + arguments
        var pointers = unsafe words.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        _ = unsafe execv(path, pointers)
        let status = -errno
        for index in unsafe pointers.indices { unsafe free(pointers[index]) }
        throw NetworkError(status: status, "cannot run \(path)")
    }
}

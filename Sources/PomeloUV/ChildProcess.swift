// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLibc
public import PomeloLoop

/// A child process whose output lines and end are reported on the loop.
@safe @Loop public final class ChildProcess {
    /// How a child ended.
    public enum Ending: Sendable, Equatable {
        /// By itself, with this status.
        case exited(Int)
        /// By this signal.
        case signalled(Int)
    }

    /// Where standard output and error of a child go.
    public enum Output: Sendable, Equatable {
        /// To `onLine`.
        case lines
        /// To the end of a file, which is made if need be.
        case file(String)
    }

    /// What to run.
    public struct Command: Sendable {
        /// A path, or a name looked up in PATH.
        public var executable: String
        /// Passed as they are; no shell takes part.
        public var arguments: [String]
        /// Added to, and winning over, this process's own environment.
        public var environment: [String: String]
        /// Where it starts; this process's own directory when nil.
        public var directory: String?
        /// Where its output goes.
        public var output = Output.lines
        /// Whether it is a session of its own: what a terminal sends to this process's group does not reach it then,
        /// and its number is that of a group with all its descendants.
        public var ownSession = false
        /// Whether its input is a pipe of this process's, for `write`; otherwise it is empty.
        public var hasInput = false
        /// A descriptor of this process that is its input, in the place of such a pipe.
        public var input: Int32?
        /// Descriptors of this process that it has too, from 3 on.
        public var inherited: [Int32] = []

        /// Describes a command; nothing is started yet.
        public init(
            _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
            directory: String? = nil
        ) {
            self.executable = executable
            self.arguments = arguments
            self.environment = environment
            self.directory = directory
        }
    }

    /// The kernel's number of the child.
    public var pid: Int32 { unsafe handle.pointee.pid }
    /// Set once the child has been waited for.
    public private(set) var status: Ending?

    // SAFETY: written in init only; libuv has let go of it before deinit runs.
    private nonisolated(unsafe) let handle: UnsafeMutablePointer<uv_process_t>
    private let onLine: @Loop (String) -> Void
    private let onExit: @Loop (Ending) -> Void
    private var outputs: [LinePipe] = []
    private var input: InputPipe?
    /// Outputs that the child, or a child of its own, has not closed.
    private var openOutputs: Int
    private var timer: TimerID?
    /// What a child that has ended may leave its outputs open: they may be a child's of its own.
    private static let lastLines = Duration.seconds(1)

    /// Starts a child; standard output and error arrive as lines, in order per stream, or are written to a file.
    ///
    /// - Guarantee: `onExit` comes after the last line, unless the outputs stay open for a second.
    /// - Throws: `NetworkError` naming the executable, for instance `ENOENT`, or the file of its output.
    public init(
        _ command: Command, onLine: @escaping @Loop (String) -> Void = { _ in },
        onExit: @escaping @Loop (Ending) -> Void = { _ in }
    ) throws(NetworkError) {
        self.onLine = onLine
        self.onExit = onExit
        let driver = try requireDriver()
        var file: Int32?
        if case .file(let path) = command.output { file = try Self.open(path) }
        defer { if let file { PomeloLibc.close(file) } }
        unsafe handle = .allocate(capacity: 1)
        outputs = file == nil ? [LinePipe(driver, onLine), LinePipe(driver, onLine)] : []
        openOutputs = outputs.count
        input = command.hasInput ? InputPipe(driver) : nil
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        let status = spawn(command, driver, file)
        if status < 0 {
            for pipe in outputs { pipe.close() }
            close()
            throw NetworkError(status: status, "cannot start \(command.executable)")
        }
        for pipe in outputs {
            pipe.onEnd = { [weak self] in self?.outputEnded() }
            pipe.start()
        }
    }

    deinit { unsafe handle.deallocate() }

    /// Sends a signal; one that has ended is ignored.
    public func signal(_ number: Int32) {
        if status == nil { _ = unsafe uv_process_kill(handle, number) }
    }

    /// Writes a line to its input, at once or not at all.
    ///
    /// - Returns: whether it was written; false for one that has ended, has no input or does not read.
    public func write(_ line: String) -> Bool { input?.write(line + "\n") ?? false }

    /// Ends its input: it reads the end.
    public func closeInput() {
        input?.close()
        input = nil
    }

    private static func open(_ path: String) throws(NetworkError) -> Int32 {
        let file = unsafe PomeloLibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw NetworkError(status: -errno, "cannot write to \(path)") }
        return file
    }

    private func spawn(_ command: Command, _ driver: UVDriver, _ file: Int32?) -> Int32 {
        var merged = Self.ownEnvironment
        for (key, value) in command.environment { merged[key] = value }
        let arguments = unsafe CStrings([command.executable] + command.arguments)
        let environment = unsafe CStrings(merged.map { "\($0.key)=\($0.value)" })
        let texts = unsafe CStrings([command.executable, command.directory ?? ""])
        defer { unsafe arguments.free(); unsafe environment.free(); unsafe texts.free() }
        let nothing = unsafe command.input.map { unsafe .descriptor($0) } ?? uv_stdio_container_t.nothing
        var stdio = unsafe [input?.container ?? nothing]
        unsafe stdio += file.map { unsafe [.descriptor($0), .descriptor($0)] } ?? outputs.map { unsafe $0.container }
        unsafe stdio += command.inherited.map { unsafe .descriptor($0) }
        return unsafe stdio.withUnsafeMutableBufferPointer { stdio in
            var options = unsafe uv_process_options_t()
            unsafe options.file = UnsafePointer(texts.pointers[0])
            unsafe options.args = arguments.pointers
            unsafe options.env = environment.pointers
            if command.directory != nil { unsafe options.cwd = UnsafePointer(texts.pointers[1]) }
            if command.ownSession { unsafe options.flags = UV_PROCESS_DETACHED.rawValue }
            unsafe options.stdio_count = Int32(stdio.count)
            unsafe options.stdio = stdio.baseAddress
            unsafe options.exit_cb = { handle, code, signal in
                guard let data = unsafe handle?.pointee.data else { return }
                let child = unsafe Unmanaged<ChildProcess>.fromOpaque(data).takeUnretainedValue()
                Loop.fromCallback { child.ended(signal == 0 ? .exited(Int(code)) : .signalled(Int(signal))) }
            }
            return unsafe uv_spawn(driver.loop, handle, &options)
        }
    }

    private static var ownEnvironment: [String: String] {
        var items: UnsafeMutablePointer<uv_env_item_t>?
        var count: Int32 = 0
        guard unsafe uv_os_environ(&items, &count) == 0, let items = unsafe items else { return [:] }
        defer { unsafe uv_os_free_environ(items, count) }
        var result: [String: String] = [:]
        for index in 0..<Int(count) {
            unsafe result[String(cString: items[index].name)] = unsafe String(cString: items[index].value)
        }
        return result
    }

    private func ended(_ status: Ending) {
        self.status = status
        // The end of the process may be told before its last lines are read.
        if openOutputs == 0 { return told(status) }
        timer = SystemClock.shared.schedule(after: Self.lastLines) { [weak self] in self?.told(status) }
    }

    private func outputEnded() {
        openOutputs -= 1
        guard openOutputs == 0, let status, let timer else { return }
        SystemClock.shared.cancel(timer)
        told(status)
    }

    private func told(_ status: Ending) {
        timer = nil
        close()
        onExit(status)
    }

    private func close() {
        outputs = []
        closeInput()
        unsafe closeHandle(handle)
    }
}

/// A NULL-terminated array of C strings.
@unsafe private struct CStrings {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    let count: Int

    init(_ strings: [String]) {
        unsafe count = strings.count
        unsafe pointers = .allocate(capacity: strings.count + 1)
        for (index, string) in strings.enumerated() { unsafe pointers[index] = unsafe strdup(string) }
        unsafe pointers[strings.count] = nil
    }

    func free() {
        for index in unsafe 0..<count { unsafe PomeloLibc.free(pointers[index]) }
        unsafe pointers.deallocate()
    }
}

extension uv_stdio_container_t {
    fileprivate static var nothing: Self {
        var container = unsafe Self()
        unsafe container.flags = UV_IGNORE
        return unsafe container
    }

    fileprivate static func descriptor(_ number: Int32) -> Self {
        var container = unsafe Self()
        unsafe container.flags = UV_INHERIT_FD
        unsafe container.data.fd = number
        return unsafe container
    }

    /// `side` is the child's.
    fileprivate static func pipe(_ handle: UnsafeMutablePointer<uv_pipe_t>, _ side: uv_stdio_flags) -> Self {
        var container = unsafe Self()
        unsafe container.flags = uv_stdio_flags(rawValue: UV_CREATE_PIPE.rawValue | side.rawValue)
        unsafe container.data.stream = UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_stream_t.self)
        return unsafe container
    }
}

/// The input pipe of a child; the child reads its end when this process has let go of it, or is gone.
@safe @Loop private final class InputPipe {
    // SAFETY: written in init only; libuv has let go of it before deinit runs.
    private nonisolated(unsafe) let handle: UnsafeMutablePointer<uv_pipe_t>

    init(_ driver: UVDriver) {
        unsafe handle = .allocate(capacity: 1)
        unsafe uv_pipe_init(driver.loop, handle, 0)
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    deinit { unsafe handle.deallocate() }

    var container: uv_stdio_container_t { unsafe .pipe(handle, UV_READABLE_PIPE) }

    func write(_ text: String) -> Bool {
        var bytes = Array(text.utf8)
        let count = UInt32(clamping: bytes.count)
        return unsafe bytes.withUnsafeMutableBytes { bytes in
            var buffer = unsafe uv_buf_init(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), count)
            let stream = unsafe UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_stream_t.self)
            return unsafe uv_try_write(stream, &buffer, 1) == Int32(clamping: count)
        }
    }

    func close() { unsafe closeHandle(handle) }
}

/// One output pipe of a child, cut into lines of at most 64 KiB; lives until the child closes it.
@safe @Loop private final class LinePipe {
    private static let longestLine = 65_536
    // SAFETY: written in init only; libuv has let go of it before deinit runs.
    nonisolated(unsafe) let handle: UnsafeMutablePointer<uv_pipe_t>
    private let onLine: @Loop (String) -> Void
    /// Nothing more comes.
    var onEnd: @Loop () -> Void = {}
    private var rest: [UInt8] = []

    init(_ driver: UVDriver, _ onLine: @escaping @Loop (String) -> Void) {
        self.onLine = onLine
        unsafe handle = .allocate(capacity: 1)
        unsafe uv_pipe_init(driver.loop, handle, 0)
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    deinit { unsafe handle.deallocate() }

    var container: uv_stdio_container_t { unsafe .pipe(handle, UV_WRITABLE_PIPE) }

    func start() {
        let stream = unsafe UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_stream_t.self)
        _ = unsafe uv_read_start(
            stream, giveReadBuffer,
            { stream, count, buffer in
                guard let data = unsafe stream?.pointee.data, let buffer = unsafe buffer else { return }
                let pipe = unsafe Unmanaged<LinePipe>.fromOpaque(data).takeUnretainedValue()
                let bytes = unsafe Array(
                    UnsafeRawBufferPointer(start: buffer.pointee.base, count: max(0, count)))
                Loop.fromCallback { count < 0 ? pipe.close() : pipe.read(bytes) }
            })
    }

    private func read(_ bytes: [UInt8]) {
        for byte in bytes {
            if byte == UInt8(ascii: "\n") || rest.count >= Self.longestLine { flush() }
            if byte != UInt8(ascii: "\n") { rest.append(byte) }
        }
    }

    private func flush() {
        let line = String(decoding: rest, as: UTF8.self)
        rest = []
        onLine(line)
    }

    func close() {
        if !rest.isEmpty { flush() }
        unsafe closeHandle(handle)
        onEnd()
    }
}

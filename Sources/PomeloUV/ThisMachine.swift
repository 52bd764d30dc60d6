// SPDX-License-Identifier: MIT
import CLibuv

/// What a process knows of the machine it is on.
public enum ThisMachine {
    /// What it calls itself in its network; empty when the system does not say.
    public static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        var size = name.count
        guard unsafe uv_os_gethostname(&name, &size) == 0 else { return "" }
        return text(name.prefix(size))
    }

    /// Its system, its release and its kind of processor, as `Linux 6.1.0 x86_64`; empty when it does not say.
    public static var system: String {
        var names = uv_utsname_t()
        guard unsafe uv_os_uname(&names) == 0 else { return "" }
        return unsafe withUnsafeBytes(of: names) { bytes in
            // Four texts of one size: system, release, version, machine.
            let all = unsafe Array(bytes)
            let size = all.count / 4
            return [0, 1, 3].map { part in
                String(decoding: all[part * size..<(part + 1) * size].prefix { $0 != 0 }, as: UTF8.self)
            }.joined(separator: " ")
        }
    }

    /// How many processes wished to run, on average of 1, 5 and 15 minutes.
    public static var load: [Double] {
        var load = [0.0, 0, 0]
        unsafe uv_loadavg(&load)
        return load
    }

    /// Memory in bytes: all, and what a program could have without anything being put aside.
    public static var memory: (total: UInt64, available: UInt64) { (uv_get_total_memory(), uv_get_free_memory()) }

    /// What each processor has done since the machine started; empty when the system does not say.
    public static var processors: [ProcessorTimes] {
        var list: UnsafeMutablePointer<uv_cpu_info_t>?
        var count: Int32 = 0
        guard unsafe uv_cpu_info(&list, &count) == 0, let list = unsafe list else { return [] }
        defer { unsafe uv_free_cpu_info(list, count) }
        return (0..<Int(count)).map { unsafe ProcessorTimes(list[$0].cpu_times) }
    }

    /// Where a processor's time went.
    public struct ProcessorTimes: Sendable {
        /// In programs.
        public let user: Duration
        /// In the system.
        public let system: Duration
        /// In nothing.
        public let idle: Duration

        fileprivate init(_ times: uv_cpu_times_s) {
            user = .milliseconds(Int64(clamping: times.user) + Int64(clamping: times.nice))
            system = .milliseconds(Int64(clamping: times.sys) + Int64(clamping: times.irq))
            idle = .milliseconds(Int64(clamping: times.idle))
        }
    }

    private static func text(_ characters: ArraySlice<CChar>) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

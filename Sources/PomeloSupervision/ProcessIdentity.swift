// SPDX-License-Identifier: MIT
/// A process among all that ever had its number.
///
/// - Source: proc(5): field 22 of `/proc/<pid>/stat` is when it began, in ticks since the boot, which has an id.
package struct ProcessIdentity: Sendable, Equatable, Codable {
    package let pid: Int32
    /// The boot and the tick.
    let began: String

    /// Of the process that has this number now; nil when there is none, or the system does not say.
    package init?(_ pid: Int32) {
        guard pid > 0, let text = Files.text("/proc/\(pid)/stat"), let name = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: name)...].split(separator: " ")
        // What has ended, and was not waited for, is no process any more.
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        self.pid = pid
        began = "\(Self.boot)/\(fields[19])"
    }

    /// Whether it runs still.
    var isAlive: Bool { ProcessIdentity(pid) == self }

    private static let boot = (Files.text("/proc/sys/kernel/random/boot_id") ?? "").filter { !$0.isWhitespace }
}

// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLibc
public import PomeloLoop

/// Names to addresses: a map of fixed answers, then the system's resolver, with a deadline and the last good answer.
///
/// A name that resolved once keeps working while the resolver is away, and a connection to it need not wait for the
/// resolver.
@Loop public final class Resolver {
    /// Names whose answers are kept; with one more, all are forgotten.
    private static let maxNames = 1024

    /// Answers given without asking the system, as a hosts file would; several for one name are separated by spaces.
    public var hosts: [String: String] = [:]
    /// How long the system may take.
    public var deadline = Duration.seconds(2)
    /// Of each name: the last answer.
    var answers: [String: [String]] = [:]
    /// Of each name: which of its addresses was of use last, and which was not.
    private var notes: [String: (good: String?, bad: String?)] = [:]
    /// One question a name is under way, however many wait for it.
    private var queries: [String: Query] = [:]

    /// How many names are being asked.
    var questions: Int { queries.count }

    /// A resolver that knows nothing yet.
    public init() {}

    /// The first numeric address of `address.host`, with its port.
    ///
    /// - Throws: as `addresses`.
    public func resolve(
        _ address: SocketAddress, within limit: Duration? = nil
    ) async throws(NetworkError) -> SocketAddress {
        try await addresses(of: address, within: limit).first ?? address
    }

    /// All numeric addresses of `address.host`, at least one, asked anew, in the order in which they should be tried:
    /// those of IPv4 first, so that a name that has both kinds is listened on and found at the same one.
    ///
    /// - Throws: `NetworkError` naming the host; `ETIMEDOUT` after `limit` or the resolver's own deadline.
    public func addresses(
        of address: SocketAddress, within limit: Duration? = nil
    ) async throws(NetworkError) -> [SocketAddress] {
        var found: [String] = []
        for name in names(of: address.host) {
            found += isNumeric(name) ? [name] : try await known(name, within: min(deadline, limit ?? deadline))
        }
        return found.map { SocketAddress(host: $0, port: address.port) }
    }

    /// What can be tried without asking anybody: last answers count, the address that was good last comes first, and
    /// one that was of no use comes last; `isComplete` is false when there is a name among them.
    public func candidates(for address: SocketAddress) -> (addresses: [SocketAddress], isComplete: Bool) {
        let names = names(of: address.host)
        var found = names.flatMap { isNumeric($0) ? [$0] : answers[$0] ?? [] }
        let (good, bad) = notes[address.host] ?? (nil, nil)
        if let bad, let place = found.firstIndex(of: bad) { found.append(found.remove(at: place)) }
        if let good, let place = found.firstIndex(of: good) { found.insert(found.remove(at: place), at: 0) }
        return (found.map { SocketAddress(host: $0, port: address.port) }, names.allSatisfy(isNumeric))
    }

    /// Notes whether an address of a name was of use: a server that answers may still be the wrong one.
    public func note(_ host: String, _ numeric: String, isGood: Bool) {
        guard host != numeric else { return }
        makeRoom()
        var note = notes[host] ?? (nil, nil)
        if isGood {
            note.good = numeric
            if note.bad == numeric { note.bad = nil }
        } else {
            note.bad = numeric
            if note.good == numeric { note.good = nil }
        }
        notes[host] = note
    }

    private func makeRoom() {
        if notes.count >= Self.maxNames { notes = [:] }
        if answers.count >= Self.maxNames { answers = [:] }
    }

    private func names(of host: String) -> [String] {
        let names = hosts[host]?.split(separator: " ").map(String.init) ?? [host]
        return names.map { SocketAddress.host($0) ?? $0 }
    }

    private func known(_ name: String, within limit: Duration) async throws(NetworkError) -> [String] {
        do {
            return try await lookUp(name, within: limit)
        } catch {
            if let known = answers[name] { return known }
            throw error
        }
    }

    private func isNumeric(_ host: String) -> Bool {
        var v4 = sockaddr_in()
        var v6 = sockaddr_in6()
        return unsafe uv_ip4_addr(host, 0, &v4) == 0 || uv_ip6_addr(host, 0, &v6) == 0
    }

    private func lookUp(_ name: String, within limit: Duration) async throws(NetworkError) -> [String] {
        if let query = queries[name] { return try await query.answer(within: limit).get() }
        let driver = try requireDriver()
        let query = Query(name: name) { [weak self] answer in
            guard let self else { return }
            queries[name] = nil
            guard case .success(let found) = answer else { return }
            makeRoom()
            answers[name] = found
        }
        queries[name] = query
        query.ask(driver)
        return try await query.answer(within: limit).get()
    }
}

/// One `uv_getaddrinfo` request and all who wait for it, each until a deadline of its own; a late answer counts for
/// the next question.
@safe @Loop private final class Query {
    typealias Answer = Result<[String], NetworkError>

    private let name: String
    private let onAnswer: @Loop (Answer) -> Void
    private var answer: Answer?
    private var waiting: [Int: CheckedContinuation<Answer, Never>] = [:]
    private var timers: [Int: TimerID] = [:]
    private var last = 0

    init(name: String, onAnswer: @escaping @Loop (Answer) -> Void) {
        self.name = name
        self.onAnswer = onAnswer
    }

    func ask(_ driver: UVDriver) {
        let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
        unsafe request.pointee.data = Unmanaged.passRetained(self).toOpaque()
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = streamKind
        unsafe hints.ai_family = AF_UNSPEC
        let status = unsafe uv_getaddrinfo(
            driver.loop, request,
            { request, status, answer in
                guard let request = unsafe request, let data = unsafe request.pointee.data else { return }
                let query = unsafe Unmanaged<Query>.fromOpaque(data).takeRetainedValue()
                let found = unsafe Query.hosts(in: answer)
                unsafe uv_freeaddrinfo(answer)
                unsafe request.deallocate()
                Loop.fromCallback { query.answered(status, found) }
            }, name, nil, &hints)
        if status < 0 {
            unsafe Unmanaged.passUnretained(self).release()
            unsafe request.deallocate()
            answered(status, [])
        }
    }

    func answer(within deadline: Duration) async -> Answer {
        await withCheckedContinuation { continuation in
            if let answer { return continuation.resume(returning: answer) }
            last += 1
            let number = last
            waiting[number] = continuation
            timers[number] = SystemClock.shared.schedule(after: deadline) { [weak self] in
                guard let self else { return }
                wake(number, .failure(failure(UV_ETIMEDOUT.rawValue)))
            }
        }
    }

    /// The addresses of an answer, those of IPv4 first.
    private nonisolated static func hosts(in answer: UnsafeMutablePointer<addrinfo>?) -> [String] {
        var (first, then): ([String], [String]) = ([], [])
        var next = unsafe answer
        while let entry = unsafe next {
            if let address = unsafe entry.pointee.ai_addr {
                let host = unsafe SocketAddress(address).host
                if unsafe entry.pointee.ai_family == AF_INET { first.append(host) } else { then.append(host) }
            }
            unsafe next = entry.pointee.ai_next
        }
        return first + then
    }

    private func answered(_ status: Int32, _ hosts: [String]) {
        let answer: Answer = status == 0 && !hosts.isEmpty ? .success(hosts) : .failure(failure(status))
        self.answer = answer
        onAnswer(answer)
        for number in waiting.keys.sorted() { wake(number, answer) }
    }

    private func wake(_ number: Int, _ answer: Answer) {
        if let timer = timers.removeValue(forKey: number) { SystemClock.shared.cancel(timer) }
        waiting.removeValue(forKey: number)?.resume(returning: answer)
    }

    private func failure(_ status: Int32) -> NetworkError {
        NetworkError(status: status, "cannot resolve \(name)", detail: "its name cannot be resolved")
    }
}

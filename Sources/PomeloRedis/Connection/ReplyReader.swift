// SPDX-License-Identifier: MIT
import CHiredis
import PomeloLoop

/// Turns what a server sends into replies.
///
/// hiredis parses; what it finds becomes values at once, without objects of its own in between, which would be half of
/// what a short reply costs.
@safe @Loop final class ReplyReader {
    /// What a look for replies has found.
    struct Taken: Equatable {
        var count = 0
        /// Whether an error is among them.
        var hasErrors = false
        /// What followed can never become a reply.
        var isMalformed = false
    }

    /// Kept although it is empty: a long pipeline's replies come in pieces of what a socket gives at once.
    private static let keptBytes = 262_144
    /// No server's line is as long; hiredis looks for its end from the beginning whenever there is more of it.
    private static let maxLine = 1 << 20
    // SAFETY: made in `init`, freed in `deinit`, used on the loop in between.
    private nonisolated(unsafe) let reader: UnsafeMutablePointer<redisReader>
    private nonisolated(unsafe) let builder: UnsafeMutablePointer<ReplyBuilder>
    /// Bytes that were read since the last whole reply.
    private(set) var unfinished = 0

    /// Nil when there is no memory for it.
    init?() {
        guard let reader = unsafe redisReaderCreateWithFunctions(ReplyBuilder.functions) else { return nil }
        unsafe self.reader = reader
        unsafe builder = .allocate(capacity: 1)
        unsafe builder.initialize(to: ReplyBuilder())
        unsafe reader.pointee.privdata = UnsafeMutableRawPointer(builder)
        unsafe reader.pointee.maxbuf = Self.keptBytes
    }

    deinit {
        unsafe redisReaderFree(reader)
        unsafe builder.deinitialize(count: 1)
        unsafe builder.deallocate()
    }

    /// Adds what was read; what cannot be kept is told by the next look.
    func feed(_ bytes: UnsafeRawBufferPointer) {
        unfinished += bytes.count
        _ = unsafe redisReaderFeed(reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    /// Why it can read nothing more.
    var errorText: String {
        isEndless ? "a line of more than \(Self.maxLine) bytes" : unsafe CText.fixed(&reader.pointee.errstr)
    }
    private var isEndless = false

    /// Appends at most so many whole replies.
    func take(_ limit: Int, into replies: inout [RedisReply]) -> Taken {
        let (reader, builder) = unsafe (reader, builder)
        var taken = Taken()
        while taken.count < limit {
            var whole: UnsafeMutableRawPointer?
            guard unsafe redisReaderGetReply(reader, &whole) == REDIS_OK else {
                taken.isMalformed = true
                break
            }
            if unsafe whole == nil { break }
            // None: a kind of reply that nobody asked this server for.
            guard let reply = unsafe builder.pointee.removeReply() else {
                taken.isMalformed = true
                break
            }
            if reply.isError { taken.hasErrors = true }
            replies.append(reply)
            taken.count += 1
        }
        if taken.count > 0 { unfinished = unsafe Int(clamping: reader.pointee.len - reader.pointee.pos) }
        if unfinished > Self.maxLine, hasEndlessLine { (isEndless, taken.isMalformed) = (true, true) }
        return taken
    }

    /// Whether what waits for more bytes is a line; of a text that has its length in front, that line is complete.
    private var hasEndlessLine: Bool {
        let (pos, len) = unsafe (Int(reader.pointee.pos), Int(reader.pointee.len))
        guard len - pos > Self.maxLine, let start = unsafe reader.pointee.buf else { return false }
        return unsafe !UnsafeBufferPointer(start: start + pos, count: Self.maxLine).contains(10)
    }
}

/// Puts a reply together, of the parts that hiredis finds one after the other.
private struct ReplyBuilder {
    /// The announcement of a longer array alone would take memory.
    private static let maxElements = 1 << 24
    /// Whoever reads or frees a reply goes down all of it; hiredis sets an end to it only before 1.0.
    private static let maxDepth = 8
    /// Room is made for so many elements that are only announced.
    private static let roomAhead = 1024

    private var open: [(elements: [RedisReply], missing: Int)] = []
    private var reply: RedisReply?

    mutating func removeReply() -> RedisReply? { reply.take() }

    /// False when it is too long, or too deep.
    mutating func begin(arrayOf count: Int) -> Bool {
        guard count <= Self.maxElements, open.count < Self.maxDepth else { return false }
        if count == 0 {
            add(.array([]))
        } else {
            open.append(([], count))
            open[open.count - 1].elements.reserveCapacity(min(count, Self.roomAhead))
        }
        return true
    }

    mutating func add(_ part: consuming RedisReply) {
        if open.isEmpty { return reply = part }
        open[open.count - 1].elements.append(part)
        open[open.count - 1].missing -= 1
        while let last = open.last, last.missing == 0 {
            open.removeLast()
            if open.isEmpty { return reply = .array(last.elements) }
            open[open.count - 1].elements.append(.array(last.elements))
            open[open.count - 1].missing -= 1
        }
    }

    // MARK: what hiredis calls

    // SAFETY: written once, and only read after that; as long as the process lives, for readers point to it.
    nonisolated(unsafe) static let functions: UnsafeMutablePointer<redisReplyObjectFunctions> = {
        var functions = redisReplyObjectFunctions()
        unsafe functions.createString = { task, text, length in
            guard let task = unsafe task else { return nil }
            let bytes = unsafe UnsafeRawBufferPointer(start: text, count: Int(length))
            switch unsafe task.pointee.type {
            case REDIS_REPLY_STATUS:
                return unsafe ReplyBuilder.added(.status(String(decoding: bytes, as: UTF8.self)), task)
            case REDIS_REPLY_ERROR:
                return unsafe ReplyBuilder.added(.error(String(decoding: bytes, as: UTF8.self)), task)
            default: return unsafe ReplyBuilder.added(.bulk(Array(bytes)), task)
            }
        }
        unsafe functions.createArray = { task, count in
            guard let task = unsafe task, let builder = unsafe ReplyBuilder.of(task),
                unsafe builder.pointee.begin(arrayOf: Int(clamping: count))
            else { return nil }
            return UnsafeMutableRawPointer(builder)
        }
        unsafe functions.createInteger = { task, number in
            guard let task = unsafe task else { return nil }
            return unsafe ReplyBuilder.added(.integer(number), task)
        }
        unsafe functions.createNil = { task in
            guard let task = unsafe task else { return nil }
            return unsafe ReplyBuilder.added(.null, task)
        }
        // What was made belongs to the builder.
        unsafe functions.freeObject = { _ in }
        let place = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
        unsafe place.initialize(to: functions)
        return unsafe place
    }()

    private static func of(_ task: UnsafePointer<redisReadTask>) -> UnsafeMutablePointer<ReplyBuilder>? {
        unsafe task.pointee.privdata?.assumingMemoryBound(to: ReplyBuilder.self)
    }

    /// Something that is not nil: hiredis takes that for a lack of memory.
    private static func added(
        _ part: consuming RedisReply, _ task: UnsafePointer<redisReadTask>
    ) -> UnsafeMutableRawPointer? {
        guard let builder = unsafe of(task) else { return nil }
        unsafe builder.pointee.add(part)
        return UnsafeMutableRawPointer(builder)
    }
}

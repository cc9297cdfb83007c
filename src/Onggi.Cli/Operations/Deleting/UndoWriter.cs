using Onggi.Client;

namespace Onggi.Cli.Operations.Deleting;

/// <summary>Writes keys into an undo bundle before they are removed. Only its owner can read the file: values stand in it.</summary>
internal sealed class UndoWriter : IAsyncDisposable
{
    private const int LeastAtATime = 4;
    private const int MostAtATime = 512;
    private const int FewBytes = 256 << 10;
    private const int ManyBytes = 2 << 20;
    private const int BufferBytes = 1 << 20;
    private const CommandOptions Reading = CommandOptions.Idempotent | CommandOptions.Primary;

    private readonly FileStream _stream;
    private int _atATime = 32;

    private UndoWriter(FileStream stream) => _stream = stream;

    /// <summary>How many keys stand in it.</summary>
    public long Count { get; private set; }

    /// <summary>Makes the file.</summary>
    /// <exception cref="ToolException">There is one of that name.</exception>
    public static UndoWriter Create(string path, UndoHeader header)
    {
        if (File.Exists(path))
            throw new ToolException($"{path} is there already, and may be all that is left of other keys: name another file.");
        var writer = new UndoWriter(Open(path, FileMode.CreateNew));
        UndoBundle.WriteHeader(writer._stream, header);
        writer._stream.Flush();
        return writer;
    }

    /// <summary>Goes on with a file that was left in the middle; a last key that is not whole is cut off.</summary>
    /// <exception cref="ToolException">It is not there, or no bundle.</exception>
    public static UndoWriter Continue(string path)
    {
        if (!File.Exists(path))
            throw new ToolException(
                $"{path} is gone, with the keys that were removed so far. To go on without it: the same command with --anew and another --undo."
            );
        var writer = new UndoWriter(Open(path, FileMode.Open));
        var stream = writer._stream;
        UndoBundle.ReadHeader(stream, path);
        var good = stream.Position;
        while (UndoBundle.Read(stream, out _) is not null)
        {
            writer.Count++;
            good = stream.Position;
        }

        stream.SetLength(good);
        stream.Position = good;
        return writer;
    }

    /// <summary>Saves what stands under the names now; those that are gone are passed over.</summary>
    /// <returns>How many there were.</returns>
    /// <exception cref="RedisException">One of them could not be read: then none of these must be removed.</exception>
    public async Task<int> SaveAsync(RedisClient client, List<byte[]> names, CancellationToken cancellationToken)
    {
        var saved = 0;
        for (var first = 0; first < names.Count; )
        {
            var count = Math.Min(_atATime, names.Count - first);
            var batch = client.CreateBatch();
            var items = names
                .GetRange(first, count)
                .ConvertAll(name =>
                    (
                        Name: name,
                        Payload: batch.Add(["DUMP", name], ReplyParsers.Bytes, Reading),
                        EndsAt: batch.Add(["PEXPIRETIME", name], ReplyParsers.Int64, Reading)
                    )
                );
            await batch.SendAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
            var bytes = 0L;
            foreach (var (name, payload, endsAt) in items)
            {
                // Null where it is gone; -2 where it ended between the two questions.
                if (payload.Value is not { } value || endsAt.Value < -1)
                    continue;
                UndoBundle.Write(_stream, new UndoRecord(name, endsAt.Value, value));
                bytes += value.Length;
                saved++;
            }

            first += count;
            _atATime =
                bytes > ManyBytes ? Math.Max(LeastAtATime, _atATime / 2)
                : bytes < FewBytes ? Math.Min(MostAtATime, _atATime * 2)
                : _atATime;
        }

        Count += saved;
        await _stream.FlushAsync(cancellationToken).ConfigureAwait(false);
        return saved;
    }

    /// <summary>It is all there.</summary>
    public async Task FinishAsync(CancellationToken cancellationToken)
    {
        UndoBundle.WriteFinished(_stream, Count);
        await _stream.FlushAsync(cancellationToken).ConfigureAwait(false);
        _stream.Flush(flushToDisk: true);
    }

    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    private static FileStream Open(string path, FileMode mode)
    {
        var options = new FileStreamOptions
        {
            Mode = mode,
            Access = FileAccess.ReadWrite,
            BufferSize = BufferBytes,
        };
        if (mode == FileMode.CreateNew && !OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(path, options);
    }
}

using Onggi.Client.Resp;

namespace Onggi.Client.Connections;

/// <summary>The replies to a place that holds MULTI, commands and EXEC: one for each, of which the last is the place's reply. Remembers who was refused a place in the transaction.</summary>
/// <remarks>All of them are taken, in order, whether or not their caller still waits; only the reader writes here.</remarks>
internal sealed class TransactionReplies(int commands)
{
    private RedisServerException?[]? _refusals;
    private int _taken;

    /// <summary>MULTI itself was refused: what followed it was executed without a transaction, if at all.</summary>
    public RedisServerException? MultiRefused { get; private set; }

    /// <summary>The transaction is written, perhaps once more.</summary>
    public void Begin() => (_taken, _refusals, MultiRefused) = (0, null, null);

    /// <summary>Takes a reply; <c>false</c> when it is the last one, the reply to EXEC.</summary>
    public bool TryTake(ReadOnlySpan<byte> frame)
    {
        if (_taken > commands)
            return false;
        var reader = new RespReader(frame);
        reader.Read();
        if (reader.IsError)
        {
            var refused = new RedisServerException(reader.ReadString()!);
            if (_taken == 0)
                MultiRefused = refused;
            else
                (_refusals ??= new RedisServerException?[commands])[_taken - 1] = refused;
        }

        _taken++;
        return true;
    }

    /// <summary>Why this command was refused a place in the transaction; <c>null</c> when it was not.</summary>
    public RedisServerException? RefusalOf(int command) => _refusals?[command];

    /// <summary>Why EXEC failed, for those who decide whether to ask again: the first refusal, when nothing was executed because of it.</summary>
    public RedisServerException CauseOf(RedisServerException exec)
    {
        if (exec.Code != "EXECABORT" || MultiRefused is not null)
            return exec;
        return Array.Find(_refusals ?? [], refusal => refusal is not null) ?? exec;
    }
}

using Onggi.Client.Resp;

namespace Onggi.Client.Connections;

/// <summary>Reads the first of the two replies to a place that holds two commands; the second is the place's reply. It is the state of the second one's parser.</summary>
/// <remarks>Two commands that belong together take one place: half the work of two, and they are asked again together or not at all. Only the reader writes here.</remarks>
internal abstract class FirstReply
{
    private bool _taken;

    /// <summary>Why the first command failed: then the whole has.</summary>
    public RedisException? Failure { get; private set; }

    /// <summary>The commands are written, perhaps once more.</summary>
    public void Begin() => (_taken, Failure) = (false, null);

    /// <summary>Takes a reply; <c>false</c> when it is the second.</summary>
    /// <param name="frame">The reply.</param>
    /// <param name="name">The place's name, for messages.</param>
    /// <param name="isWanted">Whether the caller still waits: where it does not, nothing is read.</param>
    public bool TryTake(ReadOnlySpan<byte> frame, string name, bool isWanted)
    {
        if (_taken)
            return false;
        _taken = true;
        if (!isWanted)
            return true;
        try
        {
            var reader = new RespReader(frame);
            reader.Read();
            if (reader.IsError)
                Failure = new RedisServerException(reader.ReadString()!);
            else
                Take(ref reader);
        }
        catch (Exception error)
        {
            Failure = error as RedisException ?? new RedisReplyException($"The reply to {name} could not be read.", error);
        }

        return true;
    }

    /// <summary>Reads the reply. On the reading loop.</summary>
    protected abstract void Take(ref RespReader reader);
}

using Onggi.Client;

namespace Onggi.Tests.Client;

public sealed class ConnectionStringTests
{
    private const string Secret = "s3cr3t!";

    [Theory]
    [InlineData("redis.local", "redis.local", 6379)]
    [InlineData("redis.local:6380", "redis.local", 6380)]
    [InlineData("127.0.0.1:1", "127.0.0.1", 1)]
    [InlineData("127.0.0.1:65535", "127.0.0.1", 65535)]
    [InlineData(" 127.0.0.1:6379 , ", "127.0.0.1", 6379)]
    [InlineData("[::1]:6380", "::1", 6380)]
    [InlineData("[::1]", "::1", 6379)]
    [InlineData("::1", "::1", 6379)]
    [InlineData("redis://redis.local", "redis.local", 6379)]
    [InlineData("redis://redis.local:6380", "redis.local", 6380)]
    [InlineData("REDIS://127.0.0.1:6380/", "127.0.0.1", 6380)]
    [InlineData("redis://[::1]:6380", "::1", 6380)]
    public void The_server_is_read(string text, string host, int port)
    {
        var options = RedisClientOptions.Parse(text);

        Assert.Equal((host, port), (options.Host, options.Port));
        Assert.Null(options.Password);
        Assert.Null(options.User);
        Assert.Equal(0, options.Database);
    }

    [Fact]
    public void Every_option_of_the_list_form_is_read()
    {
        var options = RedisClientOptions.Parse(
            "r:1,password=p=w,user=u,name=n,defaultDatabase=3,connectTimeout=1500,commandTimeout=250,keepAlive=7,ssl=false,abortConnect=true"
        );

        Assert.Equal(("p=w", "u", "n", 3), (options.Password, options.User, options.ClientName, options.Database));
        Assert.Equal(TimeSpan.FromMilliseconds(1500), options.ConnectTimeout);
        Assert.Equal(TimeSpan.FromMilliseconds(250), options.CommandTimeout);
        Assert.Equal(TimeSpan.FromSeconds(7), options.KeepAlive);
    }

    [Fact]
    public void Every_part_of_a_URL_is_read()
    {
        var options = RedisClientOptions.Parse("redis://us%40er:p%2Fa%3Ass%40@r:7000/2?name=n&commandTimeout=250");

        Assert.Equal(
            ("us@er", "p/a:ss@", "r", 7000, 2, "n"),
            (options.User, options.Password, options.Host, options.Port, options.Database, options.ClientName)
        );
        Assert.Equal(TimeSpan.FromMilliseconds(250), options.CommandTimeout);
    }

    [Fact]
    public void A_password_alone_is_the_default_users()
    {
        var options = RedisClientOptions.Parse("redis://:pw@r");

        Assert.Equal((null, "pw"), (options.User, options.Password));
    }

    [Theory]
    [InlineData("r,PASSWORD=a,Name=b")]
    [InlineData("r , password = a , name = b")]
    public void Names_of_options_ignore_case_and_spaces(string text)
    {
        var options = RedisClientOptions.Parse(text);

        Assert.Equal(("a", "b"), (options.Password, options.ClientName));
    }

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("password=x")]
    [InlineData(",")]
    [InlineData(":6379")]
    [InlineData("http://r")]
    public void Without_a_server_both_forms_are_shown(string text) => AssertSays(text, "host:port", "redis://");

    [Theory]
    [InlineData("r:0", "port", "1 to 65535", "'0'")]
    [InlineData("r:65536", "port", "'65536'")]
    [InlineData("r:", "port")]
    [InlineData("r:abc", "port", "'abc'")]
    [InlineData("r:-1", "port")]
    [InlineData("r:6379:", "")]
    [InlineData("redis://r:0", "port")]
    [InlineData("redis://r:99999", "")]
    [InlineData("r,defaultDatabase=-1", "defaultDatabase", "'-1'")]
    [InlineData("r,defaultDatabase=x", "defaultDatabase", "'x'")]
    [InlineData("redis://r/x", "database", "'x'")]
    [InlineData("r,connectTimeout=0", "connectTimeout", "'0'")]
    [InlineData("r,connectTimeout=5s", "connectTimeout", "'5s'")]
    [InlineData("r,commandTimeout=", "commandTimeout")]
    [InlineData("r,keepAlive=0", "keepAlive")]
    [InlineData("r,ssl=yes", "ssl", "true or false", "'yes'")]
    [InlineData("r,abortConnect=1", "abortConnect", "true or false")]
    [InlineData("r,name=a b", "name", "spaces")]
    public void A_wrong_number_or_word_is_shown_with_what_is_allowed(string text, params string[] parts) => AssertSays(text, parts);

    [Theory]
    [InlineData("r,ssl=true")]
    [InlineData("rediss://r")]
    public void TLS_is_said_to_be_missing(string text) => AssertSays(text, "TLS", "not supported yet");

    [Theory]
    [InlineData("a:1,b:2")]
    [InlineData("a,b,password=x")]
    public void More_than_one_server_is_refused(string text) => AssertSays(text, "more than one server");

    [Theory]
    [InlineData("r,passwort=x", "passwort", "password")]
    [InlineData("r,pass=x", "pass", "'password'")]
    [InlineData("r,timeout=1", "timeout", "connectTimeout")]
    [InlineData("r,max-active=50", "max-active", "Known are")]
    [InlineData("redis://r?db=1", "db", "Known are")]
    public void An_unknown_option_is_named_with_those_there_are(string text, params string[] parts) => AssertSays(text, parts);

    [Fact]
    public void A_URL_with_a_user_and_no_password_is_explained() => AssertSays("redis://u@r", "user", "password", "redis://:password@host");

    [Theory]
    [InlineData($"r:x,password={Secret}")]
    [InlineData($"password={Secret}")]
    [InlineData($"r,password={Secret},nonsense=1")]
    [InlineData($"r,password={Secret},with-a-comma")]
    [InlineData($"redis://:{Secret}@")]
    [InlineData($"redis://:{Secret}@r:99999")]
    [InlineData($"redis://:{Secret}@r/x")]
    [InlineData($"rediss://:{Secret}@r")]
    [InlineData($"http://:{Secret}@r")]
    [InlineData($"user:{Secret}@r:6379")]
    [InlineData($":{Secret}@r")]
    [InlineData($"x:y,password={Secret}://")]
    public void No_message_holds_the_password(string text)
    {
        var error = Assert.Throws<FormatException>(() => RedisClientOptions.Parse(text));

        Assert.DoesNotContain(Secret, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_password_may_look_like_the_beginning_of_a_URL() =>
        Assert.Equal("a://b", RedisClientOptions.Parse("r:6379,password=a://b").Password);

    [Fact]
    public void Options_as_text_hold_no_secret() =>
        Assert.Equal("r:7", RedisClientOptions.Parse($"r:7,password={Secret},user={Secret}").ToString());

    private static void AssertSays(string text, params string[] parts)
    {
        var error = Assert.Throws<FormatException>(() => RedisClientOptions.Parse(text));
        Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }
}

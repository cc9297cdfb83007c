namespace PhoneBill.Contracts;

/// <summary>The data that every new database begins with; the same on every machine. All names and numbers are made up.</summary>
public static class Seed
{
    /// <summary>Every seeded user's password. A sample's password: it protects nothing.</summary>
    public const string Password = "onggi-demo";

    public static IReadOnlyList<string> CustomerTypes { get; } = ["general", "youth", "senior", "business"];

    public static ProductRow[] Products() =>
        [
            Product("5G-PREMIER", "5G 프리미어 에센셜", 85_000, "unlimited", "general,business"),
            Product("5G-STANDARD", "5G 스탠다드", 75_000, "150 GB", "general,business"),
            Product("5G-SIMPLE", "5G 심플+", 61_000, "31 GB", "general,youth"),
            Product("5G-SLIM", "5G 슬림+", 47_000, "9 GB", "general,youth,senior"),
            Product("5G-YOUTH", "5G 유쓰 스탠다드", 59_000, "75 GB", "youth"),
            Product("5G-SENIOR", "5G 시니어 A형", 45_000, "10 GB", "senior"),
            Product("LTE-69", "추가 요금 걱정 없는 데이터 69", 69_000, "unlimited", "general,business"),
            Product("LTE-49", "추가 요금 걱정 없는 데이터 청소년 49", 49_000, "6 GB", "youth"),
            Product("LTE-33", "LTE 데이터 33", 33_000, "1.5 GB", "general,senior"),
            Product("LTE-SENIOR-16", "LTE 데이터 시니어 16.5", 16_500, "300 MB", "senior"),
            Product("BIZ-UNLIMITED", "비즈 무제한 플러스", 92_000, "unlimited", "business"),
            Product("BIZ-IOT", "비즈 사물인터넷 5", 5_500, "50 MB", "business"),
        ];

    public static LineRow[] Lines()
    {
        string[] family = ["김", "이", "박", "최", "정", "강", "조", "윤", "장", "임"];
        string[] given = ["민준", "서연", "도윤", "지우", "하준", "서현", "은우", "수아", "시우", "지안", "영수", "순자"];
        var products = Products();
        var random = new Random(20250908);
        var lines = new LineRow[120];
        for (var i = 0; i < lines.Length; i++)
        {
            var type = CustomerTypes[i % CustomerTypes.Count];
            var choice = Array.FindAll(products, product => product.CustomerTypes.Split(',').Contains(type));
            var joined = new DateOnly(2019, 1, 1).AddDays(random.Next(2_200));
            lines[i] = new LineRow
            {
                LineNumber = $"010-{1000 + (i * 37)}-{random.Next(1000, 10_000)}",
                CustomerName = family[random.Next(family.Length)] + given[random.Next(given.Length)],
                CustomerType = type,
                ProductCode = choice[random.Next(choice.Length)].Code,
                JoinedOn = joined,
                State = i % 29 == 28 ? "suspended" : "active",
                StateSince = new DateTimeOffset(joined, TimeOnly.MinValue, TimeSpan.Zero),
            };
        }

        return lines;
    }

    public static UserRow[] Users()
    {
        var hash = Passwords.Hash(Password);
        return
        [
            User("kim.counselor", "김상담", "agent", hash),
            User("lee.manager", "이매니저", "manager", hash),
            User("park.viewer", "박조회", "viewer", hash),
            User("choi.operator", "최운영", "operator", hash),
        ];
    }

    public static PermissionRow[] Permissions() =>
        [
            .. Grant("kim.counselor", "bill.read", "product.change"),
            .. Grant("lee.manager", "bill.read", "product.change", "user.write", "permission.write"),
            .. Grant("park.viewer", "bill.read"),
            .. Grant("choi.operator", "bill.read", "user.write", "permission.write"),
        ];

    public static CodeRow[] Codes() =>
        [
            Code("customer-type", "general", "일반"),
            Code("customer-type", "youth", "청소년"),
            Code("customer-type", "senior", "시니어"),
            Code("customer-type", "business", "기업"),
            Code("line-state", "active", "사용 중"),
            Code("line-state", "suspended", "일시 정지"),
            Code("pay-method", "card", "신용카드"),
            Code("pay-method", "account", "계좌 이체"),
            Code("pay-method", "paper", "지로"),
        ];

    public static SettingRow[] Settings() =>
        [
            Setting("billing", "closing-day", "25"),
            Setting("billing", "vat-percent", "10"),
            Setting("product-change", "changes-per-month", "2"),
            Setting("product-change", "open-hours", "08:00-22:00"),
            Setting("notice", "channel", "알림톡"),
        ];

    private static ProductRow Product(string code, string name, int fee, string data, string types) =>
        new()
        {
            Code = code,
            Name = name,
            MonthlyFee = fee,
            DataAllowance = data,
            CustomerTypes = types,
        };

    private static UserRow User(string id, string name, string role, string hash) =>
        new()
        {
            Id = id,
            Name = name,
            Email = $"{id}@phonebill.example",
            Role = role,
            PasswordHash = hash,
        };

    private static IEnumerable<PermissionRow> Grant(string userId, params string[] names) =>
        names.Select(name => new PermissionRow { UserId = userId, Name = name });

    private static CodeRow Code(string group, string code, string name) =>
        new()
        {
            Group = group,
            Code = code,
            Name = name,
        };

    private static SettingRow Setting(string system, string name, string value) =>
        new()
        {
            System = system,
            Name = name,
            Value = value,
        };
}

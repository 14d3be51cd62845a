with calendar_month as (
    select * from marts.calendar_month
),

event as (
    select * from marts.patient_timeline where event_type <> 'death'
),

-- A row per person and month first: distinct counts and a window over all events would have to hold them in memory.
person_month as (
    select
        person_id,
        cast(date_trunc('month', event_date) as date) as month_start,
        count(case when event_type = 'visit' then 1 end) as visit_count,
        count(*) as event_count
    from event
    group by person_id, cast(date_trunc('month', event_date) as date)
),

first_month as (
    select
        person_id,
        cast(date_trunc('month', min(event_date)) as date) as month_start
    from event
    group by person_id
),

counted as (
    select
        person_month.month_start,
        count(*) as active_patient_count,
        count(first_month.person_id) as new_patient_count,
        sum(person_month.visit_count) as visit_count,
        sum(person_month.event_count) as event_count
    from person_month
    left join first_month
        on person_month.person_id = first_month.person_id
        and person_month.month_start = first_month.month_start
    group by person_month.month_start
),

final as (
    select
        calendar_month.month_start,
        coalesce(counted.active_patient_count, 0) as active_patient_count,
        coalesce(counted.new_patient_count, 0) as new_patient_count,
        coalesce(counted.visit_count, 0) as visit_count,
        coalesce(counted.event_count, 0) as event_count
    from calendar_month
    left join counted on calendar_month.month_start = counted.month_start
)

select * from final

with calendar_month as (
    select * from marts.calendar_month
),

event as (
    select * from marts.patient_timeline where event_type <> 'death'
),

dated as (
    select
        person_id,
        event_type,
        cast(date_trunc('month', event_date) as date) as month_start,
        cast(date_trunc('month', min(event_date) over (partition by person_id)) as date) as first_month
    from event
),

counted as (
    select
        month_start,
        count(distinct person_id) as active_patient_count,
        count(distinct case when month_start = first_month then person_id end) as new_patient_count,
        count(case when event_type = 'visit' then 1 end) as visit_count,
        count(*) as event_count
    from dated
    group by month_start
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
